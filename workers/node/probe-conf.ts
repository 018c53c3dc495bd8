import { mostProbePauseMs, mostProbeTries, type ProbeConf } from '../../contracts/probing.ts';
import { invalid } from './conf-refusal.ts';

type Json = Readonly<Record<string, unknown>>;

/** Keys by which a network configuration asks for probes: those that Spiderpool's coordinator has. */
export const probeKeys = ['detectIPConflict', 'detectGateway', 'detectOptions'];

/** What a configuration says of probes; undefined: nothing, so that the cluster's settings hold. `prefix` names the section for messages. */
export function parseProbes(json: Json, prefix: string): ProbeConf | undefined {
  const conflicts = flag(json, prefix, 'detectIPConflict');
  const gateways = flag(json, prefix, 'detectGateway');
  const timing = parseTiming(json['detectOptions'], `${prefix}detectOptions`);
  const conf: ProbeConf = {
    ...(conflicts === undefined ? {} : { conflicts }),
    ...(gateways === undefined ? {} : { gateways }),
    ...(timing === undefined ? {} : { timing }),
  };
  return Object.keys(conf).length === 0 ? undefined : conf;
}

function flag(json: Json, prefix: string, key: string): boolean | undefined {
  const value = json[key] ?? undefined;
  if (value !== undefined && typeof value !== 'boolean') throw invalid(`${prefix}${key}`, value, 'true, false');
  return value;
}

/** `retries`, `interval` and `timeout`; what is absent, 0 or empty is the cluster's, as in Spiderpool it is the default. */
function parseTiming(options: unknown, name: string): ProbeConf['timing'] {
  if (options === undefined || options === null) return undefined;
  if (typeof options !== 'object' || Array.isArray(options)) throw invalid(name, options, 'an object');
  const { retries = 0, interval = '', timeout = '', ...others } = options as Json;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw invalid(name, options, 'the keys retries, interval, timeout');
  if (!Number.isInteger(retries) || Number(retries) < 0 || Number(retries) > mostProbeTries) {
    throw invalid(`${name}.retries`, retries, `1 to ${mostProbeTries} tries`);
  }
  const tries = Number(retries);
  const intervalMs = milliseconds(interval, `${name}.interval`);
  const waitMs = milliseconds(timeout, `${name}.timeout`);
  return {
    ...(tries === 0 ? {} : { tries }),
    ...(intervalMs === undefined ? {} : { intervalMs }),
    ...(waitMs === undefined ? {} : { waitMs }),
  };
}

/** Go's notation of a duration, as far as probes need it. */
function milliseconds(text: unknown, name: string): number | undefined {
  if (text === '') return undefined;
  const [, digits = '', unit = ''] = /^(\d{1,4}(?:\.\d{1,3})?)(ms|s)$/.exec(typeof text === 'string' ? text : '') ?? [];
  const value = Number(digits) * (unit === 's' ? 1000 : 1);
  if (digits === '' || value < 1 || value > mostProbePauseMs) throw invalid(name, text, '"1ms" to "1s"');
  return value;
}
