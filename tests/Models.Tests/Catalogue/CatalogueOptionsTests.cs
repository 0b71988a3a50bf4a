using System.Text;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using MultiAgent.Models.Catalogue;

namespace MultiAgent.Models.Tests.Catalogue;

public sealed class CatalogueOptionsTests
{
    [Fact]
    public void EnvironmentShortcuts_DefineTheProviders()
    {
        ModelCatalogue catalogue = CatalogueHost.Load(("OPENAI_API_KEY", " sk-1 "), ("ANTHROPIC_API_KEY", "sk-ant"), ("ANTHROPIC_BASE_URL", "https://proxy.test/"));

        Deployment openAi = catalogue.Resolve("gpt-4o")!.Deployments[0], anthropic = catalogue.Resolve("claude-haiku-4-5")!.Deployments[0];
        Assert.Equal(("openai", "https://api.openai.com/v1", "sk-1"), (openAi.ProviderType, openAi.BaseUrl!.AbsoluteUri, openAi.ApiKey));
        Assert.Equal(("anthropic", "https://proxy.test/", "sk-ant"), (anthropic.ProviderType, anthropic.BaseUrl!.AbsoluteUri, anthropic.ApiKey));
    }

    [Fact]
    public void OpenAiBaseUrl_WithoutKey_IsEnough()
    {
        Deployment deployment = CatalogueHost.Load(("OPENAI_BASE_URL", "http://localhost:11434/v1/"), ("OPENAI_API_KEY", "")).Resolve("openai/llama3")!.Deployments[0];

        Assert.Equal(("http://localhost:11434/v1", null), (deployment.BaseUrl!.AbsoluteUri, deployment.ApiKey));
    }

    [Fact]
    public void ExplicitSettings_WinOverShortcuts()
    {
        ModelCatalogue catalogue = CatalogueHost.Load(("OPENAI_API_KEY", "env"), ("OPENAI_BASE_URL", "https://env.test/v1"), ("Models:Providers:openai:ApiKey", "explicit"));

        Deployment deployment = Assert.Single(catalogue.Resolve("gpt-4o")!.Deployments);
        Assert.Equal(("explicit", "https://env.test/v1"), (deployment.ApiKey, deployment.BaseUrl!.AbsoluteUri));
    }

    [Fact]
    public void SeveralKeys_AreSeveralDeployments()
    {
        IReadOnlyList<Deployment> deployments = CatalogueHost.Load(("Models:Providers:openai:ApiKeys:0", "a"), ("Models:Providers:openai:ApiKeys:1", "b"), ("Models:Providers:openai:Weight", "3")).Resolve("gpt-4o")!.Deployments;

        Assert.Equal([("openai/gpt-4o#0", "a", 3), ("openai/gpt-4o#1", "b", 3)], deployments.Select(d => (d.Id, d.ApiKey!, d.Weight)));
    }

    [Fact]
    public void NamedDeployments_ServeAModelTogether()
    {
        ModelCatalogue catalogue = CatalogueHost.Load(
            ("Models:Providers:azure:Type", "azure-openai"), ("Models:Providers:azure:BaseUrl", "https://r.openai.azure.com"), ("Models:Providers:azure:ApiKey", "k"), ("Models:Providers:azure:ApiVersion", "2024-10-21"),
            ("Models:Deployments:0:Model", "openai/gpt-4o"), ("Models:Deployments:0:Provider", "azure"), ("Models:Deployments:0:UpstreamModel", "my-gpt"), ("Models:Deployments:0:Weight", "9"),
            ("Models:Deployments:1:Model", "openai/gpt-4o"), ("Models:Deployments:1:Provider", "azure"), ("Models:Deployments:1:ApiKey", "other"),
            ("Models:Deployments:2:Model", "own/new"), ("Models:Deployments:2:Provider", "azure"));

        ModelEntry entry = catalogue.Resolve("openai/gpt-4o")!;
        Assert.Equal([("my-gpt", "k", 9), ("gpt-4o", "other", 1)], entry.Deployments.Select(d => (d.UpstreamModel, d.ApiKey!, d.Weight)));
        Assert.Equal(("azure", "azure-openai", "2024-10-21"), (entry.Deployments[0].Provider, entry.Deployments[0].ProviderType, entry.Deployments[0].ApiVersion));
        Assert.NotNull(entry.Price);
        Assert.Equal("new", catalogue.Resolve("own/new")!.Deployments[0].UpstreamModel);
        Assert.Null(catalogue.Resolve("openai/gpt-4.1"));
    }

    [Fact]
    public void CatalogueSettings_OverrideAndAdd()
    {
        ModelCatalogue catalogue = CatalogueHost.Load(("OPENAI_API_KEY", "k"),
            ("Models:Catalogue:openai/gpt-4o:InputPrice", "1.5"), ("Models:Catalogue:openai/gpt-4o:Fallbacks", "openai/gpt-4o-mini, claude-opus-4-5"),
            ("Models:Catalogue:tuned:Id", "openai/ft:gpt-4o:me"), ("Models:Catalogue:tuned:InputPrice", "1e-2"), ("Models:Catalogue:tuned:OutputPrice", "0.02"), ("Models:Catalogue:tuned:Capabilities:0", "chat"),
            ("Models:Catalogue:tuned:ContextTokens", "1000"), ("Models:Catalogue:tuned:Tier", "Strong"));

        ModelEntry known = catalogue.Resolve("gpt-4o")!, tuned = catalogue.Resolve("openai/ft:gpt-4o:me")!;
        Assert.Equal(new ModelPrice(1.5m, 1.5m, 1.5m, 10m), known.Price);
        Assert.Equal(128000, known.ContextTokens);
        Assert.Equal(["openai/gpt-4o-mini"], known.Fallbacks);
        Assert.Equal((true, 0.01m, 0.02m, ModelCapabilities.Chat, ModelTier.Strong, 1000), (tuned.Listed, tuned.Price!.Input, tuned.Price.Output, tuned.Capabilities, tuned.Tier, tuned.ContextTokens));
    }

    [Fact]
    public void Timeouts_ProviderOverridesGeneral()
    {
        ModelCatalogue catalogue = CatalogueHost.Load(("OPENAI_API_KEY", "k"), ("Models:Timeouts:ConnectSeconds", "2.5"), ("Models:Timeouts:TotalSeconds", "60"), ("Models:Providers:openai:Timeouts:TotalSeconds", "90"));

        DeploymentTimeouts timeouts = catalogue.Resolve("gpt-4o")!.Deployments[0].Timeouts;
        Assert.Equal((2.5, 300, 120, 90), (timeouts.Attempt.Connect.TotalSeconds, timeouts.Attempt.FirstByte.TotalSeconds, timeouts.Attempt.BetweenChunks.TotalSeconds, timeouts.Total.TotalSeconds));
    }

    [Theory]
    [InlineData("Providers:x:Type", "grpc", "Providers:x:Type")]
    [InlineData("Providers:x:Weight", "2", "Providers:x:BaseUrl")]
    [InlineData("Providers:x:BaseUrl", "/relative", "Providers:x:BaseUrl")]
    [InlineData("Providers:x:BaseUrl", "ftp://h/v1", "Providers:x:BaseUrl")]
    [InlineData("Providers:x:BaseUrl", "https://h/v1?key=1", "Providers:x:BaseUrl")]
    [InlineData("Providers:x:Type", "anthropic", "Providers:x:ApiKey")]
    [InlineData("Providers:openai:ApiKey", "a\nb", "Providers:openai:ApiKey")]
    [InlineData("Providers:openai:Headers:X-A", "a\r\nB: c", "Providers:openai:Headers:X-A")]
    [InlineData("Providers:openai:Weight", "0", "Providers:openai:Weight")]
    [InlineData("Providers:openai:Weight", "many", "Providers:openai:Weight")]
    [InlineData("Providers:openai:Timeouts:TotalSeconds", "-1", "Providers:openai:Timeouts:TotalSeconds")]
    [InlineData("Providers:openai:ApiKy", "x", "Providers:openai:ApiKy")]
    [InlineData("Providers:agent:BaseUrl", "https://h/v1", "Providers:agent")]
    [InlineData("Providers:local:Type", "openai", "Providers:local")]
    [InlineData("Catalogue:a/b:InputPrice", "-1", "Catalogue:a/b:InputPrice")]
    [InlineData("Catalogue:a/b:InputPrice", "1,5", "Catalogue:a/b:InputPrice")]
    [InlineData("Catalogue:a/b:InputPrice", "cheap", "Catalogue:a/b:InputPrice")]
    [InlineData("Catalogue:a/b:InputPrice", "1", "Catalogue:a/b:OutputPrice")]
    [InlineData("Catalogue:a/b:OutputPrice", "1", "Catalogue:a/b:InputPrice")]
    [InlineData("Catalogue:a/b:Tier", "huge", "Catalogue:a/b:Tier")]
    [InlineData("Catalogue:a/b:Capabilities:0", "telepathy", "Catalogue:a/b:Capabilities")]
    [InlineData("Catalogue:a/b:Fallbacks:0", "no/such", "Catalogue:a/b:Fallbacks")]
    [InlineData("Catalogue:a/b:ContextTokens", "0", "Catalogue:a/b:ContextTokens")]
    [InlineData("Catalogue:a/b:8b:Tier", "fast", "Catalogue:a/b:8b")]
    [InlineData("Catalogue:noslash:Tier", "fast", "Catalogue:noslash")]
    [InlineData("Aliases:x", "no-such-model", "Aliases:x")]
    [InlineData("Aliases:x", "x", "Aliases:x")]
    [InlineData("Aliases:auto", "local/assistant", "Aliases:auto")]
    [InlineData("Deployments:0:Model", "a/b", "Deployments:0:Provider")]
    [InlineData("Deployments:0:Provider", "nowhere", "Deployments:0:Provider")]
    [InlineData("Timeouts:ConnectSeconds", "soon", "Timeouts:ConnectSeconds")]
    public void Validate_BadSetting_IsNamedInTheMessage(string key, string value, string named)
    {
        string[] problems = CatalogueHost.Problems(($"Models:{key}", value));

        Assert.Contains(problems, p => p.StartsWith($"Models:{named}", StringComparison.Ordinal));
    }

    [Fact]
    public void Validate_SeveralProblems_ReportsAllAndNoSecret()
    {
        string[] problems = CatalogueHost.Problems(("Models:Providers:a:Type", "x"), ("Models:Catalogue:p/m:InputPrice", "sk-secret"), ("Models:Aliases:a", "b"), ("Models:Aliases:b", "a"), ("Models:Timeouts:TotalSeconds", "0"));

        foreach (string named in (string[])["Providers:a:Type", "Catalogue:p/m:InputPrice", "Aliases:a goes round", "Aliases:b goes round", "Timeouts:TotalSeconds"]) Assert.Contains(problems, p => p.Contains(named));
        Assert.DoesNotContain(problems, p => p.Contains("sk-secret"));
    }

    [Fact]
    public void Validate_FallbackCircle_IsAllowed()
    {
        ModelCatalogue catalogue = CatalogueHost.Load(("OPENAI_API_KEY", "k"), ("Models:Catalogue:openai/gpt-4o:Fallbacks:0", "openai/gpt-4.1"), ("Models:Catalogue:openai/gpt-4.1:Fallbacks:0", "openai/gpt-4o"));

        Assert.Equal(["openai/gpt-4o"], catalogue.Resolve("gpt-4.1")!.Fallbacks);
    }

    [Fact]
    public void Reload_GoodThenBad_KeepsTheLastGoodCatalogue()
    {
        IConfigurationRoot configuration = CatalogueHost.Configuration(("OPENAI_API_KEY", "k"));
        using ServiceProvider services = CatalogueHost.Services(configuration);
        var source = services.GetRequiredService<ModelCatalogueSource>();
        Assert.Null(source.Current.Resolve("mine"));

        configuration["Models:Aliases:mine"] = "gpt-4o";
        configuration.Reload();
        ModelCatalogue good = source.Current;
        Assert.Equal("openai/gpt-4o", good.Resolve("mine")?.Id);

        configuration["Models:Catalogue:openai/gpt-4o:InputPrice"] = "oops";
        configuration.Reload();
        Assert.Same(good, source.Current);

        configuration["Models:Catalogue:openai/gpt-4o:InputPrice"] = "7";
        configuration.Reload();
        Assert.Equal(7m, source.Current.Resolve("mine")!.Price!.Input);
    }

    [Fact]
    public async Task Start_BadSettings_StopsTheHost()
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Configuration["Models:Providers:x:Type"] = "grpc";
        builder.Services.AddModelCatalogue(builder.Configuration).AddModelCatalogue(builder.Configuration);
        using IHost host = builder.Build();

        await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync());
    }

    [Theory]
    [InlineData("""{"asOf":"2026-01-01","models":{"a/b":{"capabilities":["chat"],"input":"1","output":1}}}""")]
    [InlineData("""{"asOf":"2026-01-01","models":{"a/b":{"capabilities":["chat"],"input":1}}}""")]
    [InlineData("""{"asOf":"2026-01-01","models":{"a/b":{"capabilities":["chat"],"input":-1,"output":1}}}""")]
    [InlineData("""{"asOf":"2026-01-01","models":{"a/b":{"capabilities":["swim"],"input":1,"output":1}}}""")]
    [InlineData("""{"asOf":"2026-01-01","models":{"ab":{"capabilities":["chat"],"input":1,"output":1}}}""")]
    [InlineData("""{"asOf":"soon","models":{}}""")]
    [InlineData("""{"models":{}}""")]
    [InlineData("nonsense")]
    public void BuiltInCatalogue_Malformed_FailsLoudly(string json) =>
        Assert.Throws<InvalidDataException>(() => BuiltInCatalogue.Parse(Encoding.UTF8.GetBytes(json)));
}
