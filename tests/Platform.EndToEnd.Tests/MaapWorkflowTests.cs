namespace MultiAgent.Platform.EndToEnd.Tests;

/// <summary><c>maap workflow</c>, as a process without any server.</summary>
public sealed class MaapWorkflowTests
{
    [Fact]
    public async Task Validate_OfFiles_NamesEachPlaceAndFailsWhenOneIsWrong()
    {
        using var folder = new TempFolder();
        const string Good = "apiVersion: maap/v1\nkind: Workflow\nname: good\nsteps:\n- {id: a, type: transform, output: 1}\n";
        await File.WriteAllTextAsync(Path.Combine(folder.Path, "good.yaml"), Good);
        await File.WriteAllTextAsync(Path.Combine(folder.Path, "bad.yaml"), Good + "- {id: b, type: agnet}\n- {id: a, type: end}\n");

        MaapResult good = await MaapProcess.RunAsync(folder.Path, [], "workflow", "validate", "good.yaml");
        MaapResult bad = await MaapProcess.RunAsync(folder.Path, [], "workflow", "validate", "bad.yaml", "good.yaml", "missing.yaml");
        MaapResult none = await MaapProcess.RunAsync(folder.Path, [], "workflow", "validate");

        Assert.Equal("1 workflow is valid.", good.Expect(0).Output.Trim());
        Assert.Equal(
            ["bad.yaml:6:17: steps[1].type: There is no step type 'agnet'. Did you mean 'agent'?", "bad.yaml:7:8: steps[2].id: There is a step 'a' already, in line 5."],
            bad.Expect(1).Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => l.TrimEnd('\r')));
        Assert.Contains("missing.yaml cannot be read", bad.Error, StringComparison.Ordinal);
        none.Expect(1);
    }

    [Fact]
    public async Task Schema_OnStandardOutput_IsThePublishedOne()
    {
        using var folder = new TempFolder();
        MaapResult result = await MaapProcess.RunAsync(folder.Path, [], "workflow", "schema");

        Assert.Equal(await File.ReadAllTextAsync(Repository.At("docs/schemas/workflow.schema.json")), result.Expect(0).Output.ReplaceLineEndings("\n"));
    }
}
