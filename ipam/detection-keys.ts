import { mostProbePauseMs, mostProbeTries, type ProbeConf, type ProbeTiming } from '../contracts/probing.ts';

/** Keys by which a network configuration or a pool says what is asked of the network: those that Spiderpool's coordinator has. */
export const detectionKeys = ['detectIPConflict', 'detectGateway', 'detectOptions'] as const;

/** One value that cannot be meant. */
export interface DetectionProblem {
  /** Path of the key, for example "detectOptions.retries". */
  readonly key: string;
  readonly value: unknown;
  /** What may stand there. */
  readonly allowed: string;
}

export interface DetectionReading {
  /** Only what is said. */
  readonly conf: ProbeConf;
  readonly problems: readonly DetectionProblem[];
}

type Json = Readonly<Record<string, unknown>>;

/** Reads what is said of probes among other keys; null says nothing, as an absent key. */
export function readDetection(json: Json): DetectionReading {
  const problems: DetectionProblem[] = [];
  const flag = (key: 'detectIPConflict' | 'detectGateway'): boolean | undefined => {
    const value = json[key] ?? undefined;
    if (value === undefined || typeof value === 'boolean') return value;
    problems.push({ key, value, allowed: 'true, false' });
    return undefined;
  };
  const [conflicts, gateways] = [flag('detectIPConflict'), flag('detectGateway')];
  const timing = readTiming(json['detectOptions'] ?? undefined, problems);
  const conf: ProbeConf = {
    ...(conflicts === undefined ? {} : { conflicts }),
    ...(gateways === undefined ? {} : { gateways }),
    ...(timing === undefined ? {} : { timing }),
  };
  return { conf, problems };
}

/** `retries`, `interval` and `timeout`; what is absent, 0 or empty is left to others, as in Spiderpool it is the default. */
function readTiming(options: unknown, problems: DetectionProblem[]): ProbeConf['timing'] {
  const name = 'detectOptions';
  if (options === undefined) return undefined;
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    problems.push({ key: name, value: options, allowed: 'an object' });
    return undefined;
  }
  const { retries = 0, interval = '', timeout = '', ...others } = options as Json;
  if (Object.keys(others).length > 0) {
    problems.push({ key: name, value: options, allowed: 'the keys retries, interval, timeout' });
  }
  const timing: { -readonly [Key in keyof ProbeTiming]?: ProbeTiming[Key] } = {};
  const tries = Number.isInteger(retries) ? Number(retries) : -1;
  if (tries < 0 || tries > mostProbeTries) {
    problems.push({ key: `${name}.retries`, value: retries, allowed: `1 to ${mostProbeTries} tries` });
  } else if (tries > 0) timing.tries = tries;
  for (const [key, text, field] of [
    ['interval', interval, 'intervalMs'],
    ['timeout', timeout, 'waitMs'],
  ] as const) {
    if (text === '') continue;
    const value = milliseconds(text);
    if (value === undefined) problems.push({ key: `${name}.${key}`, value: text, allowed: '"1ms" to "1s"' });
    else timing[field] = value;
  }
  return timing;
}

/** Go's notation of a duration, as far as probes need it. */
function milliseconds(text: unknown): number | undefined {
  const [, digits = '', unit = ''] = /^(\d{1,4}(?:\.\d{1,3})?)(ms|s)$/.exec(typeof text === 'string' ? text : '') ?? [];
  const value = Number(digits) * (unit === 's' ? 1000 : 1);
  return digits === '' || value < 1 || value > mostProbePauseMs ? undefined : value;
}
