import type { SpiderIPPool } from '../contracts/crds/spiderippool.ts';
import type { SpiderSubnet } from '../contracts/crds/spidersubnet.ts';
import type { ApiClient } from './api-client.ts';
import { listObjects } from './list.ts';
import { deadlineIn, persist } from './persist.ts';
import { SharedRead } from './shared-read.ts';

const group = '/apis/spiderpool.spidernet.io/v2beta1';
const readMs = 4000;

/** Pools and Subnets as they are now. A read begins after the call, and whoever asks while another runs shares the next. */
export class AddressObjects {
  readonly #pools: SharedRead<readonly SpiderIPPool[]>;
  readonly #subnets: SharedRead<readonly SpiderSubnet[]>;
  /** A clock of which every look is later than the one before. */
  #looks = 0;

  constructor(api: ApiClient) {
    const list = <Item>(plural: string) =>
      new SharedRead<readonly Item[]>(
        async () => {
          const listed = await persist(`list ${plural}`, deadlineIn(readMs), (timeoutMs) =>
            listObjects<Item>(api, { path: `${group}/${plural}` }, deadlineIn(timeoutMs)),
          );
          return listed.items;
        },
        () => this.#look(),
      );
    this.#pools = list('spiderippools');
    this.#subnets = list('spidersubnets');
  }

  async pools(): Promise<readonly SpiderIPPool[]> {
    return (await this.#pools.begunAfter(this.#look())).value;
  }

  async subnets(): Promise<readonly SpiderSubnet[]> {
    return (await this.#subnets.begunAfter(this.#look())).value;
  }

  #look(): number {
    this.#looks += 1;
    return this.#looks;
  }
}
