import type { Place } from '../../deploy/dev/place.ts';
import { readSamples } from '../../workers/metrics/testing/samples.ts';

export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** Asks a worker over HTTP, from where it is: its ports are on its own loopback. */
export async function getFrom(place: Place, address: string, path: string): Promise<Answer> {
  const script = `const r = await fetch('http://${address}${path}'); process.stdout.write(r.status + ' ' + await r.text())`;
  const out = await place.exec([process.execPath, '--input-type=module', '--eval', script]);
  return { status: Number(out.slice(0, 3)), text: out.slice(4) };
}

/** The samples of a worker's metrics by name with labels. */
export async function samplesOf(place: Place, address: string): Promise<ReadonlyMap<string, number>> {
  return readSamples((await getFrom(place, address, '/metrics')).text);
}
