using System.Text.RegularExpressions;
using MultiAgent.Testing;
using MultiAgent.Workflows.Steps;

namespace MultiAgent.Workflows.Tests;

/// <summary>The examples in the documentation are workflows.</summary>
public sealed partial class DocumentationTests
{
    [Fact]
    public void Examples_OfTheDocumentation_AreValidAndCoverEveryType()
    {
        string[] blocks = [.. Block().Matches(File.ReadAllText(Repository.At("docs/workflows.md"))).Select(m => m.Groups[1].Value)];
        var types = new HashSet<string>();
        foreach (string block in blocks)
        {
            WorkflowReading reading = WorkflowReader.Read(block.StartsWith('-') ? $"apiVersion: maap/v1\nkind: Workflow\nname: t\nsteps:\n{block}" : block);
            Assert.True(reading.Problems.Count == 0, $"{string.Join('\n', reading.Problems)}\n{block}");
            types.UnionWith(reading.Definition!.ById.Values.Select(s => s.Type));
        }
        Assert.Equal(StepTypes.Default.All.Select(t => t.Name).Order(), types.Order());
    }

    [GeneratedRegex("```yaml\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Block();
}
