// The Improv standard's own SDK at a serial port: node improv_sdk.mjs SDK_FOLDER PORT COMMANDS
//
// COMMANDS is JSON: a list of ["scan"], ["provision", ssid, password], ["state"]. Prints a line of
// JSON for what initialize() gave, and one for each command: its result, or its error.

import fs from "node:fs";
import { register } from "node:module";
import { Readable, Writable } from "node:stream";
import { pathToFileURL } from "node:url";

// The SDK is made for bundlers, and leaves out the ends of files' names.
const hooks = `export async function resolve(name, context, next) {
  try {
    return await next(name, context);
  } catch (error) {
    if (!name.startsWith(".")) throw error;
    return next(name + ".js", context);
  }
}`;
register("data:text/javascript," + encodeURIComponent(hooks));

const [folder, portName, commands] = process.argv.slice(2);
const { ImprovSerial } = await import(pathToFileURL(folder + "/dist/serial.js"));
const descriptor = fs.openSync(portName, fs.constants.O_RDWR | fs.constants.O_NOCTTY);
const port = {
  readable: Readable.toWeb(fs.createReadStream(portName, { fd: descriptor, autoClose: false })),
  writable: Writable.toWeb(fs.createWriteStream(portName, { fd: descriptor, autoClose: false })),
};
const quiet = { log() {}, debug() {}, error: (...words) => console.error(...words) };
const sdk = new ImprovSerial(port, quiet);
const show = (value) => console.log(JSON.stringify(value));
const actions = {
  scan: async () => sdk.scan(),
  provision: async (ssid, password) => {
    await sdk.provision(ssid, password, 20000);
    return { url: sdk.nextUrl, state: sdk.state };
  },
  state: async () => {
    await sdk.requestCurrentState(5000);
    return { state: sdk.state, url: sdk.nextUrl ?? null, error: sdk.error };
  },
};

show(await sdk.initialize(10000));
for (const [name, ...words] of JSON.parse(commands)) {
  try {
    show(await actions[name](...words));
  } catch (error) {
    show({ error: String(error) });
  }
}
process.exit(0);
