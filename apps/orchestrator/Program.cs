using MultiAgent.Hosting;
using MultiAgent.Orchestrator;

return await PlatformHost.RunAsync("orchestrator", args, new OrchestratorModule());
