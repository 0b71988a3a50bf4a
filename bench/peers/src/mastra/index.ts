// A one-step agent for Mastra's server: POST /api/agents/bench/generate with messages. PROVIDER (base URL, ending in /v1) is in the environment.
import { Mastra } from '@mastra/core';
import { Agent } from '@mastra/core/agent';

export const mastra = new Mastra({
  agents: {
    bench: new Agent({ id: 'bench', name: 'bench', instructions: 'Answer briefly.', model: { id: 'fake/bench-model', url: process.env.PROVIDER!, apiKey: 'x' } }),
  },
});
