import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GuestFacts } from '../../deploy/toolchain/guest/guest-facts.ts';
import { guestPath } from '../../deploy/toolchain/parts.ts';

/** Throws outside a guest: these tests change the links of the machine they run on. */
export function insistOnGuest(): void {
  if (!existsSync('/run/guest/up'))
    throw new Error('Only in the guest: make test-datapath, or test/datapath/run-in-guest.ts');
}

/** Loads kernel modules with all that they need. */
export function loadModules(...names: readonly string[]): void {
  execFileSync('modprobe', ['-a', ...names]);
}

/**
 * For the option `skip` of a test that needs modules which are built for this guest: `false`, or the reason why one could not be.
 * `it('…', { skip: lacks('rdma_rxe') }, …)`
 */
export function lacks(...modules: readonly string[]): string | false {
  const facts = JSON.parse(readFileSync(join(guestPath(), 'guest.json'), 'utf8')) as GuestFacts;
  const reasons = modules.map((name) => facts.lacks[name]).filter((reason) => reason !== undefined);
  return reasons.length === 0 ? false : reasons.join('; ');
}
