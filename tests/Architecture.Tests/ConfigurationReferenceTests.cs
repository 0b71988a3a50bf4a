using System.Collections;
using System.Globalization;
using System.Reflection;
using System.Text.RegularExpressions;

namespace MultiAgent.Architecture.Tests;

/// <summary>docs/configuration.md names every setting with its default, and none that does not exist.</summary>
public sealed partial class ConfigurationReferenceTests
{
    // An options class that is not here fails the first test: add it, and its settings to the reference.
    private static readonly Dictionary<string, string[]> Sections = new()
    {
        ["AuthOptions"] = ["Auth"],
        ["CatalogueModelOptions"] = ["Models:Catalogue:<id>"],
        ["DataOptions"] = ["Data"],
        ["DeploymentOptions"] = ["Models:Deployments:<n>"],
        ["HttpToolOptions"] = ["Tools:Http"],
        ["JetStreamOptions"] = ["Messaging:Nats"],
        ["JourneyOptions"] = ["Journeys"],
        ["LimitsOptions"] = ["Limits"],
        ["McpOptions"] = ["Tools:Mcp"],
        ["MemoryOptions"] = ["Memory"],
        ["MessagingOptions"] = ["Messaging"],
        ["RedisOptions"] = ["Redis"],
        ["ModelsOptions"] = ["Models"],
        ["ProviderOptions"] = ["Models:Providers:<name>"],
        ["RequestLogOptions"] = ["RequestLog"],
        ["ResilienceOptions"] = ["Models:Resilience"],
        ["RunsOptions"] = ["Runs"],
        ["ServiceTlsOptions"] = ["Services:Tls"],
        ["ServicesOptions"] = ["Services"],
        ["StdioServerOptions"] = ["Tools:Mcp:Servers:<n>"],
        ["TelemetryOptions"] = ["Telemetry"],
        ["TimeoutOptions"] = ["Models:Timeouts"],
        ["ToolResultOptions"] = ["Tools:Results"],
        ["WebhookOptions"] = ["Webhooks"],
    };

    private static readonly Type[] Options = [.. Sources.Assemblies.SelectMany(a => a.GetTypes())
        .Where(t => t is { IsClass: true, IsAbstract: false, IsNested: false } && t.Name.EndsWith("Options", StringComparison.Ordinal))];

    private static readonly string[] Rows = [.. File.ReadLines(Repository.At("docs/configuration.md")).Where(l => l.StartsWith("| `", StringComparison.Ordinal))];

    [Fact]
    public void OptionsClasses_OfThePlatform_AreAllKnownHere() => Assert.Equal(Sections.Keys.Order(), Options.Select(o => o.Name).Order());

    public static TheoryData<string, string, string> Settings
    {
        get
        {
            var data = new TheoryData<string, string, string>();
            foreach (Type type in Options)
            {
                object defaults = Activator.CreateInstance(type, nonPublic: true)!;
                foreach (PropertyInfo property in type.GetProperties(BindingFlags.Instance | BindingFlags.Public).Where(p => p.SetMethod is { IsPublic: true } && !p.PropertyType.Name.EndsWith("Options", StringComparison.Ordinal)))
                    foreach (string section in Sections.GetValueOrDefault(type.Name, []))
                        data.Add($"{section}:{property.Name}", $"{section.Replace(":", "__", StringComparison.Ordinal)}__{property.Name}", Text(property.GetValue(defaults)));
            }
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Settings))]
    public void Setting_OfThePlatform_IsInTheReferenceWithItsDefault(string key, string variable, string value)
    {
        string row = Assert.Single(Rows, r => r.StartsWith($"| `{key}` |", StringComparison.Ordinal));
        string[] cells = [.. row.Trim('|', ' ').Split(" | ").Select(c => c.Trim())];

        Assert.Equal(5, cells.Length);
        Assert.Equal($"`{variable}`", cells[1]);
        if (value.Length > 0) Assert.Equal(value, cells[2].Trim('`').Replace(" ", "", StringComparison.Ordinal));
        Assert.All(cells, c => Assert.NotEmpty(c));
    }

    [Fact]
    public void Variables_ThatTheSourcesRead_AreInTheReference()
    {
        string reference = File.ReadAllText(Repository.At("docs/configuration.md"));
        string[] names = [.. Sources.Files.Values.SelectMany(s => Variable().Matches(s).Select(m => m.Groups[1].Value)).Distinct()];

        Assert.True(names.Length >= 4, $"Only {names.Length} variables were found: the scanner is broken.");
        Assert.All(names, name => Assert.Contains($"`{name}`", reference, StringComparison.Ordinal));
        Assert.All((string[])["OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "ASPNETCORE_URLS"], name => Assert.Contains($"`{name}`", reference, StringComparison.Ordinal));
    }

    [Fact]
    public void Reference_NamesNoSetting_ThatDoesNotExist()
    {
        HashSet<string> known = [.. Settings.Select(s => s.Data.Item1)];
        // Read by hand or by the framework.
        known.UnionWith(["Models:Aliases:<alias>", "Models:Providers:<name>:Headers:<header>", "Operator:Token", "Services:<name>:Urls", "Logging:LogLevel:<category>"]);
        known.UnionWith(((string[])["ConnectSeconds", "FirstByteSeconds", "BetweenChunksSeconds", "TotalSeconds"]).Select(t => $"Models:Providers:<name>:Timeouts:{t}"));

        Assert.All(Rows.Select(r => r.Split('`')[1]).Where(k => k.Contains(':', StringComparison.Ordinal)), key => Assert.Contains(key, known));
    }

    private static string Text(object? value) => value switch
    {
        null or string or ICollection => "",
        bool flag => flag ? "true" : "false",
        _ => Convert.ToString(value, CultureInfo.InvariantCulture)!,
    };

    [GeneratedRegex("""onfiguration\["([A-Z][A-Z_]+)"\]""")]
    private static partial Regex Variable();
}
