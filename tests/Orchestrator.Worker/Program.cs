using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Hosting;
using MultiAgent.Analytics;
using MultiAgent.Gateway;
using MultiAgent.Hosting;
using MultiAgent.Orchestrator;
using MultiAgent.Orchestrator.Worker;
using MultiAgent.Tenants;

// The platform as it is, on PostgreSQL. /fuse tells for which runs the fuse has blown, by their idempotency keys, a line each;
// /fuse/{run} how often a run was written. With Fuse=off it is the platform and nothing else.
var fuse = new Fuse();
await using WebApplication app = PlatformHost.Build("platform", args, [new TenantModule(), new OrchestratorModule(), new AnalyticsModule(), new GatewayModule()], builder =>
{
    if (builder.Configuration["Fuse"] != "off") fuse.AddTo(builder.Services, postgres: true);
});
app.Map("/fuse", branch => branch.Run(http => http.Response.WriteAsync(http.Request.Path.Value is { Length: > 1 } path
    ? fuse.Writes(path[1..]).ToString(CultureInfo.InvariantCulture) : string.Join('\n', fuse.Blown))));
await PlatformHost.StartAsync(app);
await app.WaitForShutdownAsync();
