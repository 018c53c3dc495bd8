/** Brings parts into the cache and links them under `.tools/`: `build-parts.ts [part…]`, those of a cluster when none is named. */
import { clusterParts, ensureParts, type PartName, partNames, parts } from './parts.ts';
import { formatProgress } from './progress.ts';

const isPart = (name: string): name is PartName => Object.hasOwn(parts, name);

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !isPart(name));
if (unknown.length > 0) {
  console.error(`No such part: ${unknown.join(', ')}. Parts: ${partNames.join(', ')}`);
  process.exit(2);
}
try {
  await ensureParts(asked.length > 0 ? asked.filter(isPart) : clusterParts, (progress) => {
    const line = formatProgress(progress);
    if (line !== undefined) console.log(`parts: ${line}`);
  });
} catch (failure) {
  console.error(`parts: ${failure instanceof Error ? failure.message : String(failure)}`);
  process.exit(1);
}
