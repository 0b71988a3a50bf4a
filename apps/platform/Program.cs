using MultiAgent.Gateway;
using MultiAgent.Hosting;

return await PlatformHost.RunAsync("platform", args, new GatewayModule());
