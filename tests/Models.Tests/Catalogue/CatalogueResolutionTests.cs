using MultiAgent.Models.Catalogue;

namespace MultiAgent.Models.Tests.Catalogue;

public sealed class CatalogueResolutionTests
{
    private static readonly (string, string?) s_openAi = ("OPENAI_API_KEY", "sk-1");
    private static readonly (string, string?) s_anthropic = ("ANTHROPIC_API_KEY", "sk-ant");

    [Theory]
    [InlineData("openai/gpt-4.1-mini", "openai/gpt-4.1-mini", true)]
    [InlineData("gpt-4.1-mini", "openai/gpt-4.1-mini", true)]
    [InlineData("openai/gpt-99", "openai/gpt-99", false)]
    [InlineData("openai/ft:gpt-4o:org::id", "openai/ft:gpt-4o:org::id", false)]
    [InlineData("groq/meta-llama/llama-4", "groq/meta-llama/llama-4", false)]
    [InlineData("GROQ/meta-llama/Llama-4", "groq/meta-llama/Llama-4", false)]
    [InlineData("cheap", "openai/gpt-4.1-nano", true)]
    [InlineData("cheapest", "openai/gpt-4.1-nano", true)]
    [InlineData("llama", "groq/meta-llama/llama-4", false)]
    [InlineData("local/assistant", "local/assistant", true)]
    public void Resolve_KnownName_GivesTheModel(string name, string id, bool listed)
    {
        ModelCatalogue catalogue = CatalogueHost.Load(s_openAi, ("Models:Providers:groq:BaseUrl", "https://api.groq.com/openai/v1"), ("Models:Providers:groq:ApiKey", "g"),
            ("Models:Aliases:cheap", "openai/gpt-4.1-nano"), ("Models:Aliases:cheapest", "cheap"), ("Models:Aliases:llama", "groq/meta-llama/llama-4"));

        ModelEntry? entry = catalogue.Resolve(name);

        Assert.NotNull(entry);
        Assert.Equal((id, listed), (entry.Id, entry.Listed));
        Assert.Equal(id[(id.IndexOf('/') + 1)..], entry.Deployments[0].UpstreamModel);
        Assert.Equal(listed, entry.Price is not null);
    }

    [Theory]
    [InlineData("anthropic/claude-sonnet-4-5")]
    [InlineData("claude-sonnet-4-5")]
    [InlineData("gpt-99")]
    [InlineData("local/other")]
    [InlineData("auto")]
    [InlineData("agent/helper")]
    [InlineData("openai/")]
    [InlineData("/x")]
    [InlineData("")]
    [InlineData("openai/a b")]
    public void Resolve_UnknownName_GivesNull(string name) => Assert.Null(CatalogueHost.Load(s_openAi).Resolve(name));

    [Fact]
    public void Resolve_OverlongName_GivesNull() => Assert.Null(CatalogueHost.Load(s_openAi).Resolve("openai/" + new string('x', 300)));

    [Fact]
    public void Resolve_BareNameOfTwoProviders_GivesNull()
    {
        ModelCatalogue catalogue = CatalogueHost.Load(s_openAi, ("Models:Providers:proxy:BaseUrl", "https://proxy.test/v1"), ("Models:Catalogue:proxy/gpt-4.1:Tier", "fast"));

        Assert.Null(catalogue.Resolve("gpt-4.1"));
        Assert.Equal("proxy/gpt-4.1", catalogue.Resolve("proxy/gpt-4.1")?.Id);
    }

    [Fact]
    public void Resolve_UnlistedTwice_GivesTheSameEntryAndStaysBounded()
    {
        ModelCatalogue catalogue = CatalogueHost.Load(s_openAi);
        ModelEntry? used = catalogue.Resolve("openai/used");
        for (int i = 0; i < 5 * ModelCatalogue.UnlistedLimit; i++)
        {
            Assert.NotNull(catalogue.Resolve($"openai/made-up-{i}"));
            Assert.Same(used, catalogue.Resolve("openai/used"));
        }
    }

    [Fact]
    public void UnlistedModels_Flood_HoldsAtMostTwiceTheLimit()
    {
        var models = new UnlistedModels(10);
        ModelEntry entry = CatalogueHost.Load(s_openAi).Resolve("openai/x")!;
        for (int i = 0; i < 1000; i++) models.GetOrAdd($"m{i}", entry);

        Assert.InRange(models.Count, 10, 20);
    }

    [Fact]
    public void Cost_IsExactInDecimal()
    {
        ModelPrice price = CatalogueHost.Load(s_anthropic).Resolve("claude-sonnet-4-5")!.Price!;

        Assert.Equal(new ModelPrice(3m, 0.3m, 3.75m, 15m), price);
        Assert.Equal(0.0160503m, price.Cost(new TokenUsage(5001, 200, CachedInputTokens: 1001, CacheWriteTokens: 1000)));
    }

    [Fact]
    public void Cost_OneCachedToken_LosesNothing() =>
        Assert.Equal(0.000000005m, CatalogueHost.Load(s_openAi).Resolve("gpt-5-nano")!.Price!.Cost(new TokenUsage(1, 0, CachedInputTokens: 1)));

    [Fact]
    public void AutoCandidates_WithProvider_AreItsModelsCheapestFirstAndNeverLocal()
    {
        ModelCatalogue catalogue = CatalogueHost.Load(s_openAi, s_anthropic);

        string[] fast = [.. catalogue.AutoCandidates(ModelTier.Fast).Select(e => e.Id)];

        Assert.Equal("openai/gpt-4.1-nano", fast[0]);
        Assert.Equal("anthropic/claude-haiku-4-5", fast[^1]);
        foreach (ModelTier tier in Enum.GetValues<ModelTier>()) Assert.DoesNotContain(catalogue.AutoCandidates(tier), e => e.Provider == "local");
    }

    [Fact]
    public void AutoCandidates_OnlyLocal_IsLocalForEveryTier()
    {
        ModelCatalogue catalogue = CatalogueHost.Load();

        foreach (ModelTier tier in Enum.GetValues<ModelTier>()) Assert.Equal(["local/assistant"], catalogue.AutoCandidates(tier).Select(e => e.Id));
    }

    [Fact]
    public void AutoCandidates_ProviderWithoutListedModels_IsEmptyRatherThanLocal()
    {
        ModelCatalogue catalogue = CatalogueHost.Load(("Models:Providers:vllm:BaseUrl", "http://localhost:8000/v1"));

        Assert.Empty(catalogue.AutoCandidates(ModelTier.Balanced));
    }

    [Fact]
    public void AutoCandidates_UnknownPrice_ComesLast()
    {
        ModelCatalogue catalogue = CatalogueHost.Load(s_openAi, ("Models:Catalogue:openai/free:Tier", "fast"));

        Assert.Equal("openai/free", catalogue.AutoCandidates(ModelTier.Fast)[^1].Id);
    }

    [Fact]
    public void List_HoldsWhatIsServedAndAliases()
    {
        string[] ids = [.. CatalogueHost.Load(s_anthropic, ("Models:Aliases:smart", "claude-opus-4-5"), ("Models:Aliases:absent", "openai/gpt-5")).List().Select(l => l.Id)];

        Assert.Contains("anthropic/claude-opus-4-5", ids);
        Assert.Contains("smart", ids);
        Assert.Contains("local/embeddings", ids);
        Assert.DoesNotContain("absent", ids);
        Assert.DoesNotContain(ids, id => id.StartsWith("openai/", StringComparison.Ordinal));
        Assert.Equal(ids.Order(StringComparer.Ordinal), ids);
    }
}
