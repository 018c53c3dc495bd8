import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { eventually } from '../../deploy/dev/eventually.ts';
import { inNamespace, spawnIn } from './traffic.ts';

/** Makes a software RDMA device on a link, both in the namespace: `rxe` speaks RoCE, `siw` iWARP. */
export function addRdmaDevice(netns: string, kind: 'rxe' | 'siw', name: string, link: string): void {
  execFileSync('nsenter', [`--net=${netns}`, 'rdma', 'link', 'add', name, 'type', kind, 'netdev', link]);
}

export function removeRdmaDevice(netns: string, name: string): void {
  execFileSync('nsenter', [`--net=${netns}`, 'rdma', 'link', 'delete', name]);
}

/** Names of the RDMA devices that a namespace sees. */
export async function rdmaDevices(netns: string): Promise<readonly string[]> {
  const { said } = await inNamespace(netns, ['rdma', '-j', 'dev', 'show']);
  return (JSON.parse(said) as { readonly ifname: string }[]).map(({ ifname }) => ifname);
}

/** Gives an RDMA device to another namespace; only in exclusive mode. The namespace's end gives it back. */
export function moveRdmaDevice(name: string, netns: string): void {
  execFileSync('rdma', ['dev', 'set', name, 'netns', netns.slice('/run/netns/'.length)]);
}

/** Chooses who sees RDMA devices. The kernel refuses while any namespace but its first one is there, so their end is waited for. */
export async function setRdmaMode(mode: 'shared' | 'exclusive'): Promise<void> {
  await eventually(`RDMA is ${mode}`, 30, async () => {
    const { code, said } = await inNamespace(ownNamespace, ['rdma', 'system', 'set', 'netns', mode]);
    return code === 0 ? { value: undefined } : { state: said.trim() };
  });
}

/** Path of the guest's own namespace. */
export const ownNamespace = '/proc/1/ns/net';

/** Sends and checks messages over RDMA from one namespace to an address of another (rping). */
export async function rdmaPing(client: string, server: string, address: string, count = 5): Promise<void> {
  const serving = spawnIn(server, ['rping', '-s', '-a', address, '-C', String(count)]);
  const ended = once(serving, 'exit');
  try {
    await eventually('rping is answered', 30, async () => {
      // rping waits for ever for an answer that does not come
      const asking = ['timeout', '10', 'rping', '-c', '-v', '-a', address, '-C', String(count)];
      const { code, said } = await inNamespace(client, asking);
      return code === 0 ? { value: undefined } : { state: `code ${code}, ${said.trim().split('\n').at(-1)}` };
    });
  } finally {
    serving.kill();
    await ended;
  }
}
