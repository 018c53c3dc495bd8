import type { ProbeConf } from '../../contracts/probing.ts';
import { readDetection } from '../../ipam/detection-keys.ts';
import { invalid } from './conf-refusal.ts';

/** What a configuration says of probes; undefined: nothing, so that others' settings hold. `prefix` names the section for messages. */
export function parseProbes(json: Readonly<Record<string, unknown>>, prefix: string): ProbeConf | undefined {
  const { conf, problems } = readDetection(json);
  const [problem] = problems;
  if (problem !== undefined) throw invalid(`${prefix}${problem.key}`, problem.value, problem.allowed);
  return Object.keys(conf).length === 0 ? undefined : conf;
}
