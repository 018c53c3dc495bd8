/**
 * For `node --import`: makes every effect of a node worker's steps a moment at which its process can die, in whichever thread. An
 * effect is a change that the kernel acknowledged, a file or folder that was made, written, renamed or removed, a write that the API
 * server answered.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { NetlinkSocket } from '../../kernel/netlink-socket.ts';

/** In this folder: `moments`, a line for each, and `kill-at`, the number of the one at which the process dies, from 1 on. */
const directory = process.env['MOMENTS_DIRECTORY'] ?? '/run/moments';

const file = join(directory, 'moments');
const log = fs.openSync(file, 'a'); // appendFileSync would be an effect itself

/** Called after each effect. */
export function moment(effect: string): void {
  fs.writeSync(log, `${effect}\n`);
  const count = fs.readFileSync(file, 'utf8').split('\n').length - 1;
  if (count >= (killAt() ?? Infinity)) process.kill(process.pid, 'SIGKILL');
}

function killAt(): number | undefined {
  const file = join(directory, 'kill-at');
  return fs.existsSync(file) ? Number(fs.readFileSync(file, 'utf8')) : undefined;
}

const { change, transact } = NetlinkSocket.prototype; // oxlint-disable-line unbound-method -- called with `this` below
NetlinkSocket.prototype.change = function (operation, request) {
  change.call(this, operation, request);
  moment(operation);
};
NetlinkSocket.prototype.transact = function (operation, requests) {
  transact.call(this, operation, requests);
  moment(operation);
};

const { writeFileSync, renameSync, rmSync, mkdirSync, rmdirSync } = fs;
fs.writeFileSync = (file, ...rest) => {
  writeFileSync(file, ...rest);
  moment(`write ${String(file).replace(/[\da-f-]{36}$/, '…')}`);
};
fs.renameSync = (from, to) => {
  renameSync(from, to);
  moment(`rename to ${String(to)}`);
};
fs.rmSync = (path, options) => {
  rmSync(path, options);
  moment(`remove ${String(path)}`);
};
fs.mkdirSync = (path, options) => {
  const made = mkdirSync(path, options);
  moment(`make folder ${String(path)}`);
  return made;
};
fs.rmdirSync = (path, ...rest) => {
  rmdirSync(path, ...rest);
  moment(`remove folder ${String(path)}`);
};
syncBuiltinESMExports(); // for those who import them by name
