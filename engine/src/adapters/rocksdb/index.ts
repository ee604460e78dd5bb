export { RocksDbStore, RocksDbStoreFactory } from "./rocksdb-store.js";
