using MultiAgent.Hosting;
using MultiAgent.Tenants;

return await PlatformHost.RunAsync("tenant-service", args, new TenantModule());
