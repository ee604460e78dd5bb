export { DiskUsageWatch } from "./disk-usage.js";
export { RocksDbStore, RocksDbStoreFactory } from "./rocksdb-store.js";
