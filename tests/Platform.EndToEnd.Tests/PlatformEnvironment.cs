namespace MultiAgent.Platform.EndToEnd.Tests;

/// <summary>Environment variables for platforms of these tests.</summary>
internal static class PlatformEnvironment
{
    public const string Key = TestPlatform.DemoKey;

    /// <summary>Secrets that the test knows; with a provider, its models under <c>fake/…</c>.</summary>
    public static Dictionary<string, string?> With(FakeProvider? provider = null, params (string Name, string Value)[] more)
    {
        var environment = new Dictionary<string, string?>
        {
            ["MAAP_BOOTSTRAP_API_KEY"] = Key,
            ["MAAP_BOOTSTRAP_ADMIN_PASSWORD"] = TestPlatform.DemoPassword,
        };
        if (provider is not null)
        {
            foreach ((string key, string? value) in TestPlatform.ModelSettings(provider.BaseUrl))
            {
                // A slash cannot be in the name of a variable everywhere; the entry's Id says what the name cannot.
                string name = key.Replace(TestPlatform.Priced, "priced", StringComparison.Ordinal).Replace(":", "__", StringComparison.Ordinal);
                environment[name] = value;
            }
            environment["Models__Catalogue__priced__Id"] = TestPlatform.Priced;
        }
        foreach ((string name, string value) in more) environment[name] = value;
        return environment;
    }
}
