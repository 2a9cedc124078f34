// Loaded by mocha before the tests of the library `ws`. With WAY_OUT set to way_in.py's socket, connections to
// ports of this machine are led through the proxy; TLS ones are not: TLS ends at the proxy. Writes for each test
// how many it led, to LED.
const fs = require("node:fs");
const net = require("node:net");
const tls = require("node:tls");

const LOCAL = new Set(["localhost", "127.0.0.1", "::1", undefined]);
const connect = net.Socket.prototype.connect;
let nLed = 0;

if (process.env.WAY_OUT) {
  net.Socket.prototype.connect = function (...given) {
    const normalized = Array.isArray(given[0]) ? given[0] : net._normalizeArgs(given);
    const [options, connected] = normalized;
    // Who brings a resolver means it.
    const isOthers = options.path || options.lookup || !LOCAL.has(options.host);
    if (!options.port || isOthers || this instanceof tls.TLSSocket) {
      return connect.apply(this, given);
    }
    nLed += 1;
    const socket = connect.call(this, { ...options, port: undefined, host: undefined, path: process.env.WAY_OUT }, connected);
    // Sent before anything that is written later.
    socket.write(`${options.port}\n`);
    return socket;
  };
}

const led = {};
let before = 0;
exports.mochaHooks = {
  beforeEach() {
    before = nLed;
  },
  afterEach() {
    led[this.currentTest.fullTitle()] = nLed - before;
  },
  afterAll() {
    fs.writeFileSync(process.env.LED, JSON.stringify(led));
  },
};
