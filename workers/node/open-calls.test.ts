import { describe, expect, it } from '@jest/globals';
import type { CniResult } from '../../contracts/cni.ts';
import { addRequest } from '../../workflows/testing/node-model.ts';
import { OpenCalls } from './open-calls.ts';

const { attachment } = addRequest();
const result: CniResult = { interfaces: [], ips: [{ address: '10.70.8.20/22' }], routes: [], dns: {} };

describe('OpenCalls', () => {
  it('hands the answer to the caller that waits for it', async () => {
    const calls = new OpenCalls();
    const call = calls.open('n1', 'ADD', attachment);
    calls.succeed('n1', result);
    await expect(call.outcome).resolves.toBe(result);
  });

  it('hands the first answer only: a later failure changes nothing', async () => {
    const calls = new OpenCalls();
    const call = calls.open('n1', 'ADD', attachment);
    calls.succeed('n1', result);
    calls.fail('n1', { type: 'Internal', message: 'too late' });
    await expect(call.outcome).resolves.toBe(result);
  });

  it('hands a failure over with its place in the table', async () => {
    const calls = new OpenCalls();
    const call = calls.open('n1', 'ADD', attachment);
    calls.fail('n1', { type: 'PoolExhausted', message: 'all 3 are in use', remedy: 'extend it' });
    await expect(call.outcome).rejects.toMatchObject({
      type: 'PoolExhausted',
      message: 'all 3 are in use',
      remedy: 'extend it',
    });
  });

  it('takes an answer for a call that it does not know for nothing', () => {
    const calls = new OpenCalls();
    calls.succeed('n1', result);
    calls.fail('n1', { type: 'Internal', message: 'nobody hears it' });
    calls.noteStep('n1');
    expect(calls.size).toBe(0);
  });

  it('counts a call as waiting from its opening to its closing', () => {
    const calls = new OpenCalls();
    expect(calls.isWaiting('n1')).toBe(false);
    const call = calls.open('n1', 'ADD', attachment);
    expect(calls.isWaiting('n1')).toBe(true);
    call.close();
    expect(calls.isWaiting('n1')).toBe(false);
    expect(calls.size).toBe(0);
  });

  it('counts a call that is answered as waiting no more', () => {
    const calls = new OpenCalls();
    calls.open('n1', 'ADD', attachment);
    calls.succeed('n1', result);
    calls.open('n2', 'ADD', attachment).outcome.catch(() => undefined);
    calls.fail('n2', { type: 'Internal', message: 'refused' });
    expect([calls.isWaiting('n1'), calls.isWaiting('n2')]).toEqual([false, false]);
  });

  it('lets a reconnected caller take the place of the first, whose end then means nothing', async () => {
    const calls = new OpenCalls();
    const first = calls.open('n1', 'ADD', attachment);
    const second = calls.open('n1', 'ADD', attachment);
    first.close();
    expect(calls.isWaiting('n1')).toBe(true);
    calls.succeed('n1', result);
    await expect(second.outcome).resolves.toBe(result);
  });

  it('says whether a step of it has run here', () => {
    const calls = new OpenCalls();
    const call = calls.open('n1', 'ADD', attachment);
    expect(call.hasBegun).toBe(false);
    calls.noteStep('n1');
    expect(call.hasBegun).toBe(true);
  });

  it('is owned by the run until it is taken over, which succeeds once, and stays so after its end', () => {
    const calls = new OpenCalls();
    const call = calls.open('n1', 'DEL', attachment);
    expect(calls.isOwnedByRun('n1')).toBe(true);
    expect(call.takeOver()).toBe(true);
    expect(call.takeOver()).toBe(false);
    call.close();
    expect(calls.isOwnedByRun('n1')).toBe(false);
    expect(calls.isOwnedByRun('n2')).toBe(true);
  });

  it('forgets calls that were taken over ten minutes ago', () => {
    let nowMs = 0;
    const calls = new OpenCalls(
      () => false,
      () => nowMs,
    );
    calls.open('n1', 'DEL', attachment).takeOver();
    nowMs = 9 * 60_000;
    calls.open('n2', 'DEL', attachment).takeOver();
    expect(calls.isOwnedByRun('n1')).toBe(false);
    nowMs = 11 * 60_000;
    calls.open('n3', 'DEL', attachment).takeOver();
    expect(['n1', 'n2', 'n3'].map((nonce) => calls.isOwnedByRun(nonce))).toEqual([true, false, false]);
  });

  it('knows that an attachment should go while its DEL is open, and no other one', () => {
    const calls = new OpenCalls();
    calls.open('n1', 'ADD', attachment);
    expect(calls.isDetachWanted(attachment)).toBe(false);
    const del = calls.open('n2', 'DEL', attachment);
    expect(calls.isDetachWanted(attachment)).toBe(true);
    expect(calls.isDetachWanted({ ...attachment, containerID: 'other' })).toBe(false);
    expect(calls.isDetachWanted({ ...attachment, ifName: 'net1' })).toBe(false);
    expect(calls.isDetachWanted({ ...attachment, kind: 'coordinate' })).toBe(false);
    del.close();
    expect(calls.isDetachWanted(attachment)).toBe(false);
  });

  it('knows that an attachment should go while its DEL waits on disk', () => {
    const calls = new OpenCalls(({ ifName }) => ifName === 'eth0');
    expect(calls.isDetachWanted(attachment)).toBe(true);
    expect(calls.isDetachWanted({ ...attachment, ifName: 'net1' })).toBe(false);
  });
});
