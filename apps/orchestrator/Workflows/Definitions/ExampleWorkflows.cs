using System.Text.RegularExpressions;
using MultiAgent.Contracts.Clients;

namespace MultiAgent.Orchestrator.Workflows.Definitions;

/// <summary>A workflow that the platform ships.</summary>
internal sealed record ExampleWorkflow(string Slug, string? Description, string Source);

/// <summary>The workflows of <c>examples/workflows</c>, for a new tenant to look at and to change. They use the example agents.</summary>
internal sealed partial class ExampleWorkflows(WorkflowCommands commands) : ITenantSeeder
{
    private const string Prefix = "examples.workflows.";
    private const string Suffix = ".yaml";

    private static readonly Lazy<IReadOnlyList<ExampleWorkflow>> Files = new(Read);

    public static IReadOnlyList<ExampleWorkflow> All => Files.Value;

    public Task SeedAsync(string tenantId, CancellationToken cancellationToken) => commands.SeedAsync(tenantId, All, cancellationToken);

    // Not compiled here: a tenant is made while somebody waits, and a test holds the examples to the rules.
    private static List<ExampleWorkflow> Read()
    {
        var examples = new List<ExampleWorkflow>();
        foreach (string resource in typeof(ExampleWorkflows).Assembly.GetManifestResourceNames().Where(n => n.StartsWith(Prefix, StringComparison.Ordinal)).Order(StringComparer.Ordinal))
        {
            using var reader = new StreamReader(typeof(ExampleWorkflows).Assembly.GetManifestResourceStream(resource)!);
            string source = reader.ReadToEnd().ReplaceLineEndings("\n");
            examples.Add(new ExampleWorkflow(resource[Prefix.Length..^Suffix.Length], Description().Match(source) is { Success: true } found ? found.Groups[1].Value : null, source));
        }
        return examples;
    }

    [GeneratedRegex("^description: (.+)$", RegexOptions.Multiline)]
    private static partial Regex Description();
}
