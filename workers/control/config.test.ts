import { describe, expect, it } from '@jest/globals';
import { readClusterSettings } from '../../contracts/cluster-settings.ts';
import { parseConfig } from './config.ts';

describe('the configuration of the control worker', () => {
  it('needs Temporal’s address and nothing else', () => {
    expect(parseConfig({ ORBWEAVER_TEMPORAL_ADDRESS: 'temporal:7233', ORBWEAVER_REPLICA_NAME: 'a' })).toEqual({
      name: 'a',
      cluster: readClusterSettings({}, []),
      ciliumConfigMap: 'kube-system/cilium-config',
      kubeconfig: '',
      temporalAddress: 'temporal:7233',
      temporalNamespaces: { control: 'orbweaver-control', node: 'orbweaver' },
      workflowBundle: '',
      metricsAddress: '127.0.0.1:5721',
      healthAddress: '127.0.0.1:5720',
      hasDebugMetrics: false,
      logLevel: 'info',
    });
  });

  it('reports all problems together', () => {
    expect(() =>
      parseConfig({ ORBWEAVER_NAMESPACE: 'a/b', ORBWEAVER_CILIUM_CONFIGMAP: 'cilium', ORBWEAVER_LOG_LEVEL: 'loud' }),
    ).toThrow(
      /ORBWEAVER_NAMESPACE is "a\/b".*\n- ORBWEAVER_CILIUM_CONFIGMAP is "cilium", allowed: namespace\/name\n- ORBWEAVER_TEMPORAL_ADDRESS is "".*\n- ORBWEAVER_LOG_LEVEL is "loud"/,
    );
  });
});
