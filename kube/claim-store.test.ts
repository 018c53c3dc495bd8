import { claimStoreContract } from './testing/claim-store-contract.ts';
import { MemoryClaims } from './testing/memory-claims.ts';

claimStoreContract('an API server in memory', async () => new MemoryClaims());
