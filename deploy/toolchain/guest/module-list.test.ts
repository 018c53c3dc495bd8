import { describe, expect, it } from '@jest/globals';
import { closure, loadOrder, parseModulesDep } from './module-list.ts';

const modules = parseModulesDep(
  [
    'kernel/net/9p/9pnet_virtio.ko: kernel/net/9p/9pnet.ko kernel/drivers/virtio/virtio.ko',
    'kernel/net/9p/9pnet.ko:',
    'kernel/fs/9p/9p.ko: kernel/net/9p/9pnet.ko kernel/fs/netfs/netfs.ko',
    'kernel/fs/netfs/netfs.ko:',
    'kernel/drivers/virtio/virtio.ko:',
    'kernel/drivers/net/dm-mod.ko:',
    'kernel/sound/core/snd.ko:',
    '',
  ].join('\n'),
);

describe('the modules that are kept', () => {
  it('are those that match, with what they need, each once', () => {
    expect(closure(modules, /^kernel\/(net|fs\/9p)\//)).toEqual([
      'kernel/drivers/virtio/virtio.ko',
      'kernel/fs/9p/9p.ko',
      'kernel/fs/netfs/netfs.ko',
      'kernel/net/9p/9pnet.ko',
      'kernel/net/9p/9pnet_virtio.ko',
    ]);
  });
});

describe('the order of loading', () => {
  it('has what is needed first, each once', () => {
    expect(loadOrder(modules, ['9pnet_virtio', '9p'])).toEqual([
      'kernel/drivers/virtio/virtio.ko',
      'kernel/net/9p/9pnet.ko',
      'kernel/net/9p/9pnet_virtio.ko',
      'kernel/fs/netfs/netfs.ko',
      'kernel/fs/9p/9p.ko',
    ]);
  });

  it('leaves out what is built into the kernel, and knows a module by its name with underscores', () => {
    expect(loadOrder(modules, ['overlay', 'dm_mod'])).toEqual(['kernel/drivers/net/dm-mod.ko']);
  });
});
