/** How the API server reaches the webhooks of this cluster, and where this replica listens. */
export interface WebhookConfig {
  readonly client: WebhookClient;
  /** Names and addresses that the certificate must be for. */
  readonly hosts: readonly string[];
  /** TCP port; replicas in one network namespace share it. */
  readonly port: number;
  /** During a rotation both authorities are trusted for so long before the new certificate is served. */
  readonly settleMs: number;
}

/** The part of a `clientConfig` that all webhooks share (Kubernetes, admissionregistration/v1). */
export type WebhookClient =
  | { readonly url: string }
  | { readonly service: { readonly namespace: string; readonly name: string; readonly port: number } };

const defaultPort = 9443;
const label = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const servicePattern = new RegExp(`^(?<namespace>${label})/(?<name>${label}):(?<port>\\d{1,5})$`);

/** `undefined` when neither a URL nor a Service is named: then nothing checks pools. Problems: key, value found, values allowed. */
export function readWebhookConfig(
  environment: Readonly<Record<string, string | undefined>>,
  problems: string[],
): WebhookConfig | undefined {
  const url = environment['ORBWEAVER_WEBHOOK_URL'] || undefined;
  const service = environment['ORBWEAVER_WEBHOOK_SERVICE'] || undefined;
  const port = number('ORBWEAVER_WEBHOOK_PORT', 1, 65_535);
  const settleSeconds = number('ORBWEAVER_WEBHOOK_SETTLE_SECONDS', 6, 3600) ?? 30;
  if (url !== undefined && service !== undefined) {
    problems.push('ORBWEAVER_WEBHOOK_URL and ORBWEAVER_WEBHOOK_SERVICE are both set, allowed: one of them');
  }
  const target = url === undefined ? service && readService(service) : readUrl(url);
  if (!target) return undefined;
  const { client, hosts, port: ownPort } = target;
  return { client, hosts, port: port ?? ownPort, settleMs: settleSeconds * 1000 };

  function number(key: string, least: number, most: number): number | undefined {
    const text = environment[key] || undefined;
    if (text === undefined) return undefined;
    const value = /^\d{1,5}$/.test(text) ? Number(text) : -1;
    if (value < least || value > most) problems.push(`${key} is "${text}", allowed: ${least} to ${most}`);
    return value;
  }

  function readUrl(text: string): Omit<WebhookConfig, 'settleMs'> | undefined {
    const parsed = URL.canParse(text) ? new URL(text) : undefined;
    if (parsed?.protocol !== 'https:' || parsed.pathname !== '/' || parsed.username !== '' || parsed.search !== '') {
      problems.push(`ORBWEAVER_WEBHOOK_URL is "${text}", allowed: https://host:port`);
      return undefined;
    }
    const host = parsed.hostname.replace(/^\[(.*)\]$/, '$1');
    return { client: { url: parsed.origin }, hosts: [host], port: Number(parsed.port || 443) };
  }

  function readService(text: string): Omit<WebhookConfig, 'settleMs'> | undefined {
    const { namespace = '', name = '', port = '' } = servicePattern.exec(text)?.groups ?? {};
    if (namespace === '' || Number(port) < 1 || Number(port) > 65_535) {
      problems.push(`ORBWEAVER_WEBHOOK_SERVICE is "${text}", allowed: namespace/name:port`);
      return undefined;
    }
    return {
      client: { service: { namespace, name, port: Number(port) } },
      hosts: [`${name}.${namespace}.svc`],
      port: defaultPort,
    };
  }
}
