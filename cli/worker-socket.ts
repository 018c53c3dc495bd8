import { randomBytes } from 'node:crypto';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import type { CniError } from '../contracts/cni.ts';
import { decodeReply, encodeRequest, fromChunks, type ReplyFrame } from '../contracts/frame.ts';
import {
  type NodeReport,
  nodeReportName,
  reportKey,
  type SandboxQuestion,
  type SandboxReport,
  sandboxReportName,
} from '../contracts/node-report.ts';
import { CliError } from './cli-error.ts';

const deadlineMs = 3000;

/** Asks the node worker whose socket is in this run directory. Throws a `CliError` when it is not there or does not answer in 3 s. */
export const askForReport = (runDirectory: string): Promise<NodeReport> => ask(runDirectory, nodeReportName);

/** The same about one pod. */
export const askForSandbox = (runDirectory: string, question: SandboxQuestion): Promise<SandboxReport> =>
  ask(runDirectory, sandboxReportName, JSON.stringify(question));

async function ask<Report>(runDirectory: string, report: string, stdin = ''): Promise<Report> {
  const path = join(runDirectory, 'socket');
  const { exitCode, stdout } = await exchange(path, report, stdin);
  const text = new TextDecoder().decode(stdout);
  if (exitCode !== 0) throw refused(text);
  try {
    return JSON.parse(text) as Report;
  } catch (cause) {
    throw new CliError(`The node worker at ${path} answered with something that is no report`, {
      remedy: otherVersion,
      cause,
    });
  }
}

function exchange(path: string, report: string, stdin: string): Promise<ReplyFrame> {
  const request = encodeRequest({
    environment: new Map([[reportKey, report]]),
    stdin: new TextEncoder().encode(stdin),
    nonce: randomBytes(16).toString('hex'),
  });
  return new Promise((resolve, reject) => {
    const take = fromChunks(decodeReply);
    const socket = createConnection(path, () => socket.write(request));
    const fail = (error: CliError): void => {
      reject(error);
      socket.destroy();
    };
    const timer = setTimeout(() => fail(silent(path)), deadlineMs);
    socket.on('data', (chunk) => {
      try {
        const reply = take(chunk);
        if (reply === 'incomplete') return;
        resolve(reply);
        socket.destroy();
      } catch (cause) {
        fail(new CliError(`What answers at ${path} is not our node worker`, { remedy: otherVersion, cause }));
      }
    });
    socket.on('error', (cause: NodeJS.ErrnoException) => fail(unreachable(path, cause)));
    socket.on('close', () => {
      clearTimeout(timer);
      reject(new CliError(`The node worker closed ${path} without an answer`, { remedy: seeItsLog }));
    });
  });
}

const seeItsLog = "See its log: kubectl -n orbweaver-system logs, for the worker's pod on this node";
const otherVersion = 'Use the orb of the same release as the worker; or another directory: --run-dir';

const silent = (path: string): CliError =>
  new CliError(`The node worker at ${path} did not answer within 3 s`, { remedy: seeItsLog });

function unreachable(path: string, cause: NodeJS.ErrnoException): CliError {
  if (cause.code === 'ENOENT') {
    const remedy =
      'Run orb node on a node, or name its directory with --run-dir; on a node, see the pod: kubectl -n orbweaver-system get pods -o wide';
    return new CliError(`No node worker runs here: there is no ${path}`, { remedy, cause });
  }
  if (cause.code === 'ECONNREFUSED') {
    const remedy =
      'It ended and comes back by itself within seconds. If not: kubectl -n orbweaver-system get pods -o wide';
    return new CliError(`The node worker of ${path} is not running`, { remedy, cause });
  }
  if (cause.code === 'EACCES')
    return new CliError(`${path} may not be opened by this user`, { remedy: 'Run orb node as root', cause });
  return new CliError(`Cannot ask the node worker at ${path}: ${cause.message}`, { remedy: seeItsLog, cause });
}

function refused(text: string): CliError {
  const { msg, details } = asError(text);
  return new CliError(`The node worker does not report: ${msg}`, { remedy: details ?? otherVersion });
}

function asError(text: string): Partial<CniError> & { readonly msg: string } {
  try {
    const { msg = text, details } = JSON.parse(text) as Partial<CniError>;
    return { msg, ...(details === undefined ? {} : { details }) };
  } catch {
    return { msg: text };
  }
}
