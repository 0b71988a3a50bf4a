using MultiAgent.Gateway;
using MultiAgent.Hosting;

return await PlatformHost.RunAsync("api-gateway", args, new GatewayModule());
