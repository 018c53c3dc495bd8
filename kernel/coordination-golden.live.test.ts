import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { addReplyMarks, deleteReplyMarks } from './nftables-message.ts';
import {
  asBatch,
  captureCoordination,
  captureReplyMarks,
  coordinationClosing,
  coordinationCommands,
} from './testing/coordination-capture.ts';
import { asSent } from './testing/netlink-capture.ts';

const has = (tool: string): boolean => spawnSync(tool, ['-V']).error === undefined;
const rewrite = (file: string, capture: unknown): void => {
  if (process.env['GOLDEN'] !== '1') return;
  writeFileSync(new URL(`./testdata/${file}`, import.meta.url), `${JSON.stringify(capture, undefined, 2)}\n`);
};

const whenTraced = has('strace') && has('ip') ? describe : describe.skip;
whenTraced('with strace and iproute2 installed', () => {
  it('our messages about routes, rules and neighbours are those that this machine’s ip(8) sends', () => {
    const capture = captureCoordination();
    rewrite('coordination-iproute2.json', capture);
    const ours = Object.entries({ ...coordinationCommands, ...coordinationClosing }).map(([command, encode]) => [
      command,
      asSent(encode(capture.facts)),
    ]);
    expect(Object.fromEntries(ours)).toEqual(capture.requests);
  });
});

const whenNft = has('strace') && has('nft') ? describe : describe.skip;
whenNft('needs nft(8) and strace on PATH', () => {
  it('our batches are those that this machine’s nft(8) sends', () => {
    const capture = captureReplyMarks();
    rewrite('coordination-nft.json', capture);
    expect({ add: asBatch(addReplyMarks('veth0')), remove: asBatch(deleteReplyMarks()) }).toEqual(capture);
  });
});
