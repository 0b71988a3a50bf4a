using MultiAgent.Analytics;
using MultiAgent.Gateway;
using MultiAgent.Hosting;
using MultiAgent.Orchestrator;
using MultiAgent.Tenants;

return await PlatformHost.RunAsync("platform", args, new TenantModule(), new OrchestratorModule(), new AnalyticsModule(), new GatewayModule());
