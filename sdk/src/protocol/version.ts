/** What the worker says of itself in `hello`, and the client in its user agent. Equals package.json; a test checks. */
export const SDK_VERSION = "0.1.0";
export const SDK_NAME = `eddy-js/${SDK_VERSION}`;
