import { describe, expect, it } from '@jest/globals';
import { readClusterSettings } from '../../contracts/cluster-settings.ts';
import { parseConfig } from './config.ts';

const needed = { ORBWEAVER_NODE_NAME: 'r7-n1', ORBWEAVER_TEMPORAL_ADDRESS: 'temporal.example:7233' };

describe('parseConfig', () => {
  it("needs the node's name and Temporal's address, and has a value for everything else", () => {
    expect(parseConfig(needed)).toEqual({
      nodeName: 'r7-n1',
      runDirectory: '/run/orbweaver',
      queueDirectory: '/var/lib/orbweaver/queue',
      kubeconfig: '',
      temporalAddress: 'temporal.example:7233',
      temporalNamespace: 'orbweaver',
      workflowBundle: '',
      machineIDFiles: ['/sys/class/dmi/id/product_uuid', '/etc/machine-id'],
      kernelThreads: 2,
      tunesSysctls: true,
      cluster: readClusterSettings({}, []),
      spiderpoolSocket: '/var/run/spidernet/spiderpool.sock',
      metricsAddress: '127.0.0.1:5711',
      healthAddress: '127.0.0.1:5710',
      logLevel: 'info',
    });
  });

  it('reports all problems together, each with the value found and the values allowed', () => {
    const wrong = {
      ORBWEAVER_RUN_DIR: 'run',
      ORBWEAVER_QUEUE_DIR: '',
      ORBWEAVER_TEMPORAL_ADDRESS: 'temporal.example',
      ORBWEAVER_KERNEL_THREADS: '0',
      ORBWEAVER_TUNE_SYSCTLS: 'on',
      ORBWEAVER_ENABLE_KUBEVIRT_STATIC_IP: 'yes',
      ORBWEAVER_LOG_LEVEL: 'loud',
    };
    expect(() => parseConfig(wrong)).toThrow(
      [
        'Cannot start with this configuration:',
        '- ORBWEAVER_NODE_NAME is not set',
        '- ORBWEAVER_RUN_DIR is "run", allowed: an absolute path',
        '- ORBWEAVER_QUEUE_DIR is "", allowed: an absolute path',
        '- ORBWEAVER_TUNE_SYSCTLS is "on", allowed: true, false',
        '- ORBWEAVER_ENABLE_KUBEVIRT_STATIC_IP is "yes", allowed: true, false',
        '- ORBWEAVER_TEMPORAL_ADDRESS is "temporal.example", allowed: host:port',
        '- ORBWEAVER_KERNEL_THREADS is "0", allowed: 1 to 4',
        '- ORBWEAVER_LOG_LEVEL is "loud", allowed: trace, debug, info, warn, error',
      ].join('\n'),
    );
  });

  it('says once what is not set, also when it is set to nothing', () => {
    const problems = '- ORBWEAVER_NODE_NAME is not set\n- ORBWEAVER_TEMPORAL_ADDRESS is not set';
    for (const environment of [{}, { ORBWEAVER_NODE_NAME: '', ORBWEAVER_TEMPORAL_ADDRESS: '' }]) {
      expect(() => parseConfig(environment)).toThrow(new Error(`Cannot start with this configuration:\n${problems}`));
    }
  });

  it.each(['0', '5', '1.5', 'two', ''])('takes no %p for a number of kernel threads', (threads) => {
    expect(() => parseConfig({ ...needed, ORBWEAVER_KERNEL_THREADS: threads })).toThrow('ORBWEAVER_KERNEL_THREADS is');
  });

  it.each(['127.0.0.1', ':7233', 'host:port', 'a b:7233', 'http://host:7233'])(
    'takes no %p for an address',
    (address) => {
      expect(() => parseConfig({ ...needed, ORBWEAVER_TEMPORAL_ADDRESS: address })).toThrow('allowed: host:port');
    },
  );
});
