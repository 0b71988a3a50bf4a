using System.CommandLine;
using System.Text;
using MultiAgent.Workflows;

namespace MultiAgent.Maap.Workflows;

/// <summary><c>maap workflow</c>: checks workflows on disk; no server is needed.</summary>
internal static class WorkflowCommand
{
    public static Command Create()
    {
        var command = new Command("workflow", "Workflows as files.");
        command.Subcommands.Add(Validate());
        command.Subcommands.Add(Schema());
        return command;
    }

    private static Command Validate()
    {
        var files = new Argument<string[]>("file") { Description = "YAML or JSON files; '-' is standard input.", Arity = ArgumentArity.OneOrMore };
        var command = new Command("validate", "Check workflows and show what is wrong as 'file:line:column: message'. Whether agents, tools and other workflows exist is checked by the server.") { files };
        command.SetAction(async (result, stop) =>
        {
            int wrong = 0, good = 0;
            foreach (string file in result.GetValue(files)!)
            {
                if (await ReadAsync(file, stop) is not { } source)
                {
                    wrong++;
                    continue;
                }
                IReadOnlyList<WorkflowProblem> problems = WorkflowReader.Read(source).Problems;
                foreach (WorkflowProblem problem in problems) Console.Out.WriteLine($"{file}:{problem}");
                if (problems.Count == 0) good++;
                else wrong++;
            }
            if (wrong == 0) Console.Out.WriteLine(good == 1 ? "1 workflow is valid." : $"{good} workflows are valid.");
            return wrong == 0 ? 0 : 1;
        });
        return command;
    }

    private static Command Schema()
    {
        var command = new Command("schema", "Write the JSON Schema of workflows to standard output, e.g. for an editor.");
        command.SetAction(_ => Console.Out.Write(WorkflowSchema.Text));
        return command;
    }

    private static async Task<string?> ReadAsync(string file, CancellationToken stop)
    {
        try
        {
            if (file != "-") return await File.ReadAllTextAsync(file, new UTF8Encoding(false, throwOnInvalidBytes: true), stop);
            using var input = new StreamReader(Console.OpenStandardInput(), Encoding.UTF8);
            return await input.ReadToEndAsync(stop);
        }
        catch (DecoderFallbackException)
        {
            await Console.Error.WriteLineAsync($"maap: {file} is not UTF-8.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            await Console.Error.WriteLineAsync($"maap: {file} cannot be read: {e.Message}");
        }
        return null;
    }
}
