using Yarp.ReverseProxy.Configuration;

// The yardstick: YARP as its documentation sets it up, one route to one destination, nothing tuned.
var builder = WebApplication.CreateBuilder(args);
builder.Logging.SetMinimumLevel(LogLevel.Warning);

var upstream = builder.Configuration["Upstream"] ?? throw new InvalidOperationException("Set Upstream to the provider's address.");
builder.Services.AddReverseProxy().LoadFromMemory(
    [new RouteConfig { RouteId = "provider", ClusterId = "provider", Match = new RouteMatch { Path = "{**path}" } }],
    [
        new ClusterConfig
        {
            ClusterId = "provider",
            Destinations = new Dictionary<string, DestinationConfig> { ["provider"] = new() { Address = upstream } },
        },
    ]);

var app = builder.Build();
app.MapReverseProxy();
app.Run();
