import type { ProbeConf } from '../contracts/probing.ts';
import { detectionKeys, readDetection } from './detection-keys.ts';
import { parseJson } from './go-json.ts';

/**
 * Annotation of a SpiderIPPool: what is asked of the network about its addresses, whichever network they are used in. A JSON object
 * with the keys that a network configuration has for it; SpiderIPPool itself, which is Spiderpool's, has no field that says it.
 */
export const detectionAnnotation = 'ipam.orbweaver.io/detection';

export interface PoolDetection {
  /** Absent: the pool says nothing. */
  readonly probes?: ProbeConf;
  /** Each goes on after the name of the annotation, and says what is allowed: "has detectGateway 1, allowed: true, false". */
  readonly problems: readonly { readonly what: string; readonly allowed: string }[];
}

const example = 'an object such as {"detectIPConflict": true, "detectOptions": {"retries": 5}}';

export function readPoolDetection(annotations: Readonly<Record<string, unknown>>): PoolDetection {
  const text = annotations[detectionAnnotation];
  if (text === undefined) return { problems: [] };
  const reading = parseJson(typeof text === 'string' ? text : '');
  if (reading.outcome === 'invalid') return { problems: [{ what: reading.problem, allowed: example }] };
  const { value } = reading;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { problems: [{ what: 'is not an object', allowed: example }] };
  }
  const keys: readonly string[] = detectionKeys;
  const strange = Object.keys(value).filter((key) => !keys.includes(key));
  const { conf, problems } = readDetection(value as Readonly<Record<string, unknown>>);
  return {
    probes: conf,
    problems: [
      ...strange.map((key) => ({ what: `has the key "${key}"`, allowed: keys.join(', ') })),
      ...problems.map(({ key, value: found, allowed }) => ({ what: `has ${key} ${JSON.stringify(found)}`, allowed })),
    ],
  };
}
