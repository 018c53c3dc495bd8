import { inversesOf, type LinkOperation, type ReversibleOperation } from '../link-operation.ts';
import type { ObservedLink } from '../observed-namespace.ts';
import type { ObservedNode } from '../plan-shared-links.ts';

interface ModelLink extends ObservedLink {
  /** MTU of a port before its bond gave it another one. */
  readonly ownMtuBytes?: number;
}

/**
 * The links of a node, with the kernel's rules as far as plans for shared links depend on them: a bond takes ports that are down,
 * brings them up with its MTU, and leaves them down with their own when it lets them go; a VLAN goes with its parent.
 */
export class NodeLinksModel {
  #links: ModelLink[];
  readonly #addresses: ObservedNode['addresses'];
  #lastIndex: number;

  constructor(links: readonly ObservedLink[], addresses: ObservedNode['addresses'] = []) {
    this.#links = [...links];
    this.#addresses = addresses;
    this.#lastIndex = Math.max(0, ...links.map(({ ifIndex }) => ifIndex));
  }

  /** Links in the order of their indexes, as the kernel lists them. */
  observe(): ObservedNode {
    const links = this.#links.toSorted((a, b) => a.ifIndex - b.ifIndex).map((link) => withoutKey(link, 'ownMtuBytes'));
    return structuredClone({ links, addresses: this.#addresses });
  }

  apply(operations: readonly LinkOperation[]): void {
    for (const operation of operations) this.#apply(operation);
  }

  undo(operations: readonly ReversibleOperation[]): void {
    this.apply(inversesOf(operations));
  }

  #apply(operation: LinkOperation): void {
    const { ifName } = operation;
    switch (operation.op) {
      case 'create-link': {
        const { ifIndex, mtuBytes } = this.#link(operation.master);
        const { link: shape, group } = operation;
        this.#refuse(
          'EEXIST',
          this.#links.some(
            (link) =>
              link.parentIndex === ifIndex &&
              link.shape?.kind === 'vlan' &&
              shape.kind === 'vlan' &&
              link.shape.vlanID === shape.vlanID,
          ),
        );
        return this.#add({ ifName, group, kind: shape.kind, shape, parentIndex: ifIndex, mtuBytes });
      }
      case 'create-bond': {
        const { mode, options, group } = operation;
        return this.#add({ ifName, group, kind: 'bond', bond: { mode, options }, mtuBytes: 1500 });
      }
      case 'delete-link': {
        const { ifIndex } = this.#link(ifName);
        for (const port of this.#links.filter(({ controllerIndex }) => controllerIndex === ifIndex)) this.#letGo(port);
        this.#links = this.#links.filter((link) => link.ifIndex !== ifIndex && link.parentIndex !== ifIndex);
        return;
      }
      case 'set-alias':
        return this.#change(ifName, { alias: operation.alias });
      case 'set-mtu':
        return this.#change(ifName, { mtuBytes: operation.mtuBytes });
      case 'set-up':
        return this.#change(ifName, { isUp: true });
      case 'set-down':
        return this.#change(ifName, { isUp: false });
      case 'add-port': {
        const [port, bond] = [this.#link(ifName), this.#link(operation.controller)];
        this.#refuse('EINVAL', port.isUp || port.controllerIndex !== undefined);
        const { mtuBytes, ifIndex } = bond;
        return this.#change(ifName, { controllerIndex: ifIndex, isUp: true, mtuBytes, ownMtuBytes: port.mtuBytes });
      }
      case 'remove-port':
        return this.#letGo(this.#link(ifName));
      case 'set-active-port':
        return this.#refuse('EINVAL', this.#link(operation.port).controllerIndex !== this.#link(ifName).ifIndex);
      case 'create-pair':
      case 'add-address':
      case 'delete-address':
      case 'add-route':
      case 'delete-route':
        throw new Error(`${operation.op} on the node`);
    }
  }

  #letGo(port: ModelLink): void {
    const free = { ...withoutKey(port, 'controllerIndex'), isUp: false, mtuBytes: port.ownMtuBytes ?? port.mtuBytes };
    this.#links = this.#links.map((link) => (link.ifIndex === port.ifIndex ? free : link));
  }

  #add(link: Pick<ModelLink, 'ifName' | 'group' | 'mtuBytes'> & Partial<ModelLink>): void {
    this.#refuse(
      'EEXIST',
      this.#links.some(({ ifName }) => ifName === link.ifName),
    );
    this.#lastIndex += 1;
    const fresh = { mac: '', isUp: false, isLoopback: false, isEthernet: true, alias: '' };
    this.#links.push({ ...fresh, ...link, ifIndex: this.#lastIndex });
  }

  #change(ifName: string, changes: Partial<ModelLink>): void {
    const changed = { ...this.#link(ifName), ...changes };
    this.#links = this.#links.map((link) => (link.ifName === ifName ? changed : link));
  }

  #link(name: string): ModelLink {
    const link = this.#links.find(({ ifName }) => ifName === name);
    if (link === undefined) throw new Error('ENODEV');
    return link;
  }

  #refuse(code: string, isRefused: boolean): void {
    if (isRefused) throw new Error(code);
  }
}

function withoutKey<Key extends keyof ModelLink>(link: ModelLink, key: Key): Omit<ModelLink, Key> {
  const { [key]: _, ...rest } = link;
  return rest;
}
