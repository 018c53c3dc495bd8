import { describe, expect, it } from '@jest/globals';
import { decodeRequest } from '../../contracts/frame.ts';
import { addRequest, detachRequest } from '../../workflows/testing/node-model.ts';
import { delOf } from './call-server.ts';
import { createDetachOrKeep, toDelFrame } from './detach-or-keep.ts';
import { silent } from './testing/node-world.ts';

const request = detachRequest(addRequest());

describe('a DEL without a call', () => {
  it.each(['prepare', 'attach', 'rdma', 'coordinate'] as const)(
    'is kept as the DEL that a runtime would have sent, to %s',
    (kind) => {
      const attachment = { ...request.attachment, kind };
      expect(delOf(toDelFrame({ ...request, attachment }))).toMatchObject({
        command: 'DEL',
        attachment,
        pod: request.pod,
        netns: request.netns,
      });
    },
  );

  it.each([
    ['it is undone', async () => 'undone' as const, 0, undefined],
    ['its run could not be told', async () => 'run-open' as const, 1, undefined],
    ['something is left', () => Promise.reject(new Error('the link is busy')), 1, 'the link is busy'],
  ])('waits on disk unless nothing more is to do: %s', async (_, detach, kept, whyLeft) => {
    const frames: Uint8Array[] = [];
    const detachOrKeep = createDetachOrKeep({ detach }, { put: async (frame) => void frames.push(frame) }, silent);
    expect((await detachOrKeep(request))?.message).toBe(whyLeft);
    expect(frames.map((frame) => decodeRequest(frame))).toEqual(
      Array.from({ length: kept }, () => toDelFrame(request)),
    );
  });
});
