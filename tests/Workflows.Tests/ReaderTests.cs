using MultiAgent.Contracts.Identity;
using MultiAgent.Workflows.Steps;

namespace MultiAgent.Workflows.Tests;

/// <summary>A workflow that uses every type of step is read as what it says.</summary>
public sealed class ReaderTests
{
    private static readonly string Everything = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "everything.yaml"));

    [Fact]
    public void Read_OfEveryMember_GivesThem()
    {
        WorkflowDefinition w = Ok(Everything);

        Assert.Equal("everything", w.Name);
        Assert.Equal(new WorkflowLimits { MaxSteps = 50, MaxTokens = 100_000, MaxCostUsd = 1.25m, MaxSeconds = 3600 }, w.Limits);
        Assert.NotNull(w.Output);
        Assert.Equal(["'text' is required"], w.Inputs!.Check(System.Text.Json.JsonDocument.Parse("{}").RootElement));
        var ask = Assert.IsType<AgentStep>(w.ById["ask"]);
        Assert.Equal(new TargetReference("assistant", "staging"), ask.Agent);
        Assert.Equal(new RetryPolicy { Attempts = 3, Delay = TimeSpan.FromSeconds(0.5), Factor = 3, MaxDelay = TimeSpan.FromSeconds(2) }, ask.Policy.Retry);
        Assert.Equal(TimeSpan.FromSeconds(30), ask.Policy.Timeout);
        Assert.Equal(new StepBudget(1000, 0.05m), ask.Policy.Budget);
        Assert.Equal(ErrorAction.Continue, ask.Policy.OnError);
        var undo = Assert.IsType<ToolStep>(ask.Compensate);
        Assert.Equal("undo_ask", undo.Id);
        Assert.Same(undo, w.ById["undo_ask"]);
        Assert.Equal(["example.com"], undo.Settings!.AllowedHosts);
        Assert.Equal(["case0", "default"], w.ById["route"].Blocks.Select(b => b.Key));
        var both = Assert.IsType<ParallelStep>(w.ById["both"]);
        Assert.Equal(JoinMode.Merge, both.Join);
        Assert.Equal("assistant", both.Merge!.Agent.Slug);
        Assert.Equal(["left", "right"], both.Blocks.Select(b => b.Key));
        var each = Assert.IsType<MapStep>(w.ById["each"]);
        Assert.Equal(("line", 8, 20), (each.As, each.Concurrency, each.MaxItems));
        Assert.NotNull(each.Reduce);
        Assert.Equal(5, Assert.IsType<LoopStep>(w.ById["again"]).MaxIterations);
        Assert.Equal("other@2", Assert.IsType<SubworkflowStep>(w.ById["sub"]).Workflow.ToString());
        var person = Assert.IsType<HumanStep>(w.ById["person"]);
        Assert.Equal((Role.Developer, TimeSpan.FromSeconds(100), ErrorAction.Continue), (person.Role, person.Expires, person.OnExpire));
        Assert.Equal(new Escalation(TimeSpan.FromSeconds(50), Role.Owner), person.Escalate);
        Assert.Equal(TimeSpan.FromSeconds(1.5), Assert.IsType<WaitStep>(w.ById["pause"]).Delay);
        Assert.Equal("payment.received", Assert.IsType<WaitStep>(w.ById["paid"]).Event);
        Assert.True(Assert.IsType<WaitStep>(w.ById["hook"]).Webhook);
        Assert.Equal("m", Assert.IsType<GroupChatStep>(w.ById["chat"]).Manager!.Slug);
        Assert.Null(Assert.IsType<GroupChatStep>(w.ById["turns"]).Manager);
        Assert.Equal(3, Assert.IsType<DebateStep>(w.ById["fight"]).Rounds);
        Assert.Equal((1, 5), (Assert.IsType<PlanStep>(w.ById["work"]).MaxReplans, ((PlanStep)w.ById["work"]).MaxTasks));
        Assert.Equal(HandoffView.None, Assert.IsType<HandoffStep>(w.ById["pass"]).Visible);
        Assert.Equal(EndStatus.Failed, Assert.IsType<EndStep>(w.ById["stop"]).Status);
        Assert.Equal(StepTypes.Default.All.Select(t => t.Name).Order(), w.ById.Values.Select(s => s.Type).Distinct().Order());
        Assert.Contains(w.References, r => r is { Kind: ReferenceKind.Workflow, Name: "other@2" });
        Assert.Equal((32, 5), (w.ById["route"].Head.Line, w.ById["route"].Head.Column));
    }

    [Fact]
    public void Read_OfJson_IsTheSame()
    {
        WorkflowDefinition w = Ok("""{"apiVersion": "maap/v1", "kind": "Workflow", "name": "j", "steps": [{"id": "a", "type": "wait", "seconds": 1, "when": false}]}""");

        Assert.Equal(TimeSpan.FromSeconds(1), Assert.IsType<WaitStep>(Assert.Single(w.Steps)).Delay);
        Assert.False(w.Steps[0].When!.Evaluate(null!));
    }

    [Theory]
    [InlineData(1, 0.5)]
    [InlineData(2, 1.5)]
    [InlineData(3, 2)]
    [InlineData(2000, 2)]
    public void DelayAfter_OfAnAttempt_GrowsToItsLimit(int attempt, double seconds) =>
        Assert.Equal(TimeSpan.FromSeconds(seconds), new RetryPolicy { Attempts = 9, Delay = TimeSpan.FromSeconds(0.5), Factor = 3, MaxDelay = TimeSpan.FromSeconds(2) }.DelayAfter(attempt));

    private static WorkflowDefinition Ok(string source)
    {
        WorkflowReading reading = WorkflowReader.Read(source);
        Assert.True(reading.Problems.Count == 0, string.Join('\n', reading.Problems));
        return reading.Definition!;
    }
}
