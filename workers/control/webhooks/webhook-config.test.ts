import { describe, expect, it } from '@jest/globals';
import { readWebhookConfig } from './webhook-config.ts';

const read = (environment: Readonly<Record<string, string>>) => {
  const problems: string[] = [];
  return { config: readWebhookConfig(environment, problems), problems };
};

describe('how the API server reaches the webhooks', () => {
  it('is not told by default', () => {
    expect(read({})).toEqual({ config: undefined, problems: [] });
  });

  it.each([
    [
      { ORBWEAVER_WEBHOOK_URL: 'https://10.222.0.254:9443' },
      { client: { url: 'https://10.222.0.254:9443' }, hosts: ['10.222.0.254'], port: 9443, settleMs: 30_000 },
    ],
    [
      { ORBWEAVER_WEBHOOK_URL: 'https://[fd00::1]', ORBWEAVER_WEBHOOK_PORT: '9444' },
      { client: { url: 'https://[fd00::1]' }, hosts: ['fd00::1'], port: 9444, settleMs: 30_000 },
    ],
    [
      { ORBWEAVER_WEBHOOK_SERVICE: 'orbweaver-system/orbweaver-webhook:443', ORBWEAVER_WEBHOOK_SETTLE_SECONDS: '6' },
      {
        client: { service: { namespace: 'orbweaver-system', name: 'orbweaver-webhook', port: 443 } },
        hosts: ['orbweaver-webhook.orbweaver-system.svc'],
        port: 9443,
        settleMs: 6000,
      },
    ],
  ])('is read from %j', (environment, config) => {
    expect(read(environment)).toEqual({ config, problems: [] });
  });

  it.each([
    [{ ORBWEAVER_WEBHOOK_URL: 'http://a' }, 'ORBWEAVER_WEBHOOK_URL is "http://a", allowed: https://host:port'],
    [{ ORBWEAVER_WEBHOOK_URL: 'https://a/b' }, 'ORBWEAVER_WEBHOOK_URL is "https://a/b", allowed: https://host:port'],
    [{ ORBWEAVER_WEBHOOK_SERVICE: 'a:443' }, 'ORBWEAVER_WEBHOOK_SERVICE is "a:443", allowed: namespace/name:port'],
    [{ ORBWEAVER_WEBHOOK_SERVICE: 'a/b:0' }, 'ORBWEAVER_WEBHOOK_SERVICE is "a/b:0", allowed: namespace/name:port'],
    [{ ORBWEAVER_WEBHOOK_PORT: '70000' }, 'ORBWEAVER_WEBHOOK_PORT is "70000", allowed: 1 to 65535'],
    [{ ORBWEAVER_WEBHOOK_SETTLE_SECONDS: '1' }, 'ORBWEAVER_WEBHOOK_SETTLE_SECONDS is "1", allowed: 6 to 3600'],
    [
      { ORBWEAVER_WEBHOOK_URL: 'https://a', ORBWEAVER_WEBHOOK_SERVICE: 'a/b:1' },
      'ORBWEAVER_WEBHOOK_URL and ORBWEAVER_WEBHOOK_SERVICE are both set, allowed: one of them',
    ],
  ])('is refused where %j', (environment, problem) => {
    expect(read(environment).problems).toEqual([problem]);
  });
});
