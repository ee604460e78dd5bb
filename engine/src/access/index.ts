export { Access, bearerOf, type AccessFiles } from "./access.js";
export { EVERYBODY, SCOPES, type Grant, type Scope } from "./scopes.js";
export { lineOf, makeToken, type Allowed } from "./tokens.js";
export { LOOK_EVERY_MS, WatchedFiles } from "./watched-files.js";
