using MultiAgent.Bench.FakeProvider;

var builder = WebApplication.CreateSlimBuilder(args);
builder.Logging.ClearProviders();
builder.WebHost.ConfigureKestrel(kestrel => kestrel.AddServerHeader = false);

var app = builder.Build();
var provider = new Provider();

// No routing: on two cores every microsecond spent here is taken from the gateway under test.
app.Run(provider.HandleAsync);
app.Run();
