import { describe, expect, it } from '@jest/globals';
import { ApiError, ApiUnreachable } from './api-error.ts';
import { deadlineIn, persist } from './persist.ts';

const answered = (status: number, retryAfterSeconds?: number): ApiError =>
  new ApiError({ request: 'PUT /x', status, reason: 'Because', detail: 'of this', retryAfterSeconds });

describe('an attempt', () => {
  it.each([
    new ApiUnreachable('PUT /x', 'reset'),
    answered(408),
    answered(429),
    answered(503),
    answered(409),
    answered(404),
  ])('is repeated after %s', async (failure) => {
    let tries = 0;
    const outcome = await persist('try', deadlineIn(5000), async () => {
      tries += 1;
      if (tries < 3) throw failure;
      return 'done';
    });
    expect([outcome, tries]).toEqual(['done', 3]);
  });

  it.each([401, 403])('that is refused with %i is not repeated, and says what to look at', async (status) => {
    let tries = 0;
    const outcome = persist('try', deadlineIn(5000), async () => {
      tries += 1;
      throw answered(status);
    });
    await expect(outcome).rejects.toMatchObject({
      type: 'ApiServerUnavailable',
      message: `Cannot try: PUT /x was answered with ${status} Because: of this`,
      remedy: expect.stringContaining('worker'),
    });
    expect(tries).toBe(1);
  });

  it('that is itself wrong, or fails for another reason, keeps its own error', async () => {
    const wrong = answered(422);
    await expect(persist('try', deadlineIn(5000), async () => Promise.reject(wrong))).rejects.toBe(wrong);
    const bug = new TypeError('bug');
    await expect(persist('try', deadlineIn(5000), async () => Promise.reject(bug))).rejects.toBe(bug);
  });

  it('gets two thirds of the time that is left, and less than all of it while there is enough for two', async () => {
    const given: number[] = [];
    await persist('try', deadlineIn(10_000), async (timeoutMs) => {
      given.push(timeoutMs);
      if (given.length < 3) throw answered(503);
    });
    expect(given.every((timeoutMs) => timeoutMs > 6000 && timeoutMs <= 6667)).toBe(true);
  });

  it('is not made when no time is left', async () => {
    const never = async (): Promise<never> => {
      throw new Error('was made');
    };
    await expect(persist('try', deadlineIn(0), never)).rejects.toMatchObject({ type: 'ApiServerUnavailable' });
  });

  it('is given up at once when the server asks to wait beyond the deadline', async () => {
    let tries = 0;
    const outcome = persist('try', deadlineIn(5000), async () => {
      tries += 1;
      throw answered(429, 60);
    });
    await expect(outcome).rejects.toMatchObject({ type: 'ApiServerUnavailable' });
    expect(tries).toBe(1);
  });
});
