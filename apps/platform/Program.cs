using MultiAgent.Gateway;
using MultiAgent.Hosting;
using MultiAgent.Tenants;

return await PlatformHost.RunAsync("platform", args, new TenantModule(), new GatewayModule());
