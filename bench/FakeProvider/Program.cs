using MultiAgent.Bench.FakeProvider;

var builder = WebApplication.CreateSlimBuilder(args);
builder.Logging.ClearProviders();
var provider = new Provider();
builder.WebHost.ConfigureKestrel(kestrel =>
{
    kestrel.AddServerHeader = false;
    kestrel.ConfigureEndpointDefaults(listen => listen.Use(next => new FastLane(next, provider).HandleAsync));
});

var app = builder.Build();

// No routing: on two cores every microsecond spent here is taken from the gateway under test.
app.Run(provider.HandleAsync);
app.Run();
