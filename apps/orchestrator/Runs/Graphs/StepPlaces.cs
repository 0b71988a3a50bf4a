using System.Globalization;
using MultiAgent.Workflows;
using MultiAgent.Workflows.Steps;

namespace MultiAgent.Orchestrator.Runs.Graphs;

/// <summary>A place in a workflow's run.</summary>
/// <param name="Steps">The steps from the outermost to the one at the place, each with its own path.</param>
/// <param name="Iterations">Of loops and maps around it: the container's path, and the iteration.</param>
/// <param name="IsStep">The place is the last step's own; else it lies inside that, e.g. that of an agent's answer.</param>
/// <param name="Undoes">The last step undoes the one before it.</param>
internal sealed record StepPlace(IReadOnlyList<(Step Step, string Path)> Steps, IReadOnlyList<(string Path, int Iteration)> Iterations, bool IsStep, bool Undoes)
{
    public Step Step => Steps[^1].Step;

    public string Path => Steps[^1].Path;
}

/// <summary>Leads from paths of the log to the steps of a workflow. A path has ids of steps with branches, items and iterations between; <c>#2</c> marks what a second attempt has inside.</summary>
internal sealed class StepPlaces(WorkflowDefinition workflow)
{
    /// <summary>The step of a path; null for one that is not of this workflow.</summary>
    public StepPlace? Find(string path)
    {
        string[] segments = path.Split('/');
        var steps = new List<(Step, string)>();
        var iterations = new List<(string, int)>();
        IReadOnlyList<Step>? block = workflow.Steps;
        string around = "";
        bool isStep = false, undoes = false;
        for (int i = 1; block is not null && i < segments.Length; i++)
        {
            string id = Id(segments[i]), own = $"{around}/{id}";
            if (block.FirstOrDefault(s => s.Id == id) is not { } step) break;
            steps.Add((step, own));
            around = $"{around}/{segments[i]}";
            isStep = i == segments.Length - 1;
            if (isStep) break;
            string next = segments[++i];
            block = Inside(step, next);
            isStep = false;
            if (block is not null)
            {
                if (step is LoopStep or MapStep) iterations.Add((own, int.Parse(next, CultureInfo.InvariantCulture)));
                around = $"{around}/{next}";
            }
            else if (step.Compensate is { } undo && undo.Id == Id(next))
            {
                steps.Add((undo, $"{own}/{undo.Id}"));
                (undoes, isStep) = (true, i == segments.Length - 1);
            }
        }
        return steps.Count == 0 ? null : new StepPlace(steps, iterations, isStep, undoes);
    }

    private static IReadOnlyList<Step>? Inside(Step step, string key) => step switch
    {
        LoopStep or MapStep => int.TryParse(key, NumberStyles.None, CultureInfo.InvariantCulture, out _) ? step.Blocks[0].Steps : null,
        _ => step.Blocks.FirstOrDefault(b => b.Key == key)?.Steps,
    };

    private static string Id(string segment) => segment.IndexOf('#', StringComparison.Ordinal) is >= 0 and var cut ? segment[..cut] : segment;
}
