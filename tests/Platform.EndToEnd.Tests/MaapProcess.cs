using System.Diagnostics;

namespace MultiAgent.Platform.EndToEnd.Tests;

/// <summary>How a run of <c>maap</c> ended.</summary>
internal sealed record MaapResult(int Code, string Output, string Error)
{
    public MaapResult Expect(int code)
    {
        Assert.True(Code == code, $"expected {code}, got {Code}: {Output} {Error}");
        return this;
    }
}

/// <summary>The operator's command line as a process.</summary>
internal static class MaapProcess
{
    public static async Task<MaapResult> RunAsync(string folder, Dictionary<string, string?> environment, params string[] args)
    {
        var start = new ProcessStartInfo("dotnet", [Repository.At($"apps/maap/bin/{Repository.Configuration}/net10.0/maap.dll"), .. args])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = folder,
        };
        start.Environment["MAAP_DATA_DIR"] = folder;
        foreach ((string name, string? text) in environment) start.Environment[name] = text;
        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
        using var limit = new CancellationTokenSource(PlatformProcess.StartDeadline);
        try
        {
            await process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"maap {string.Join(' ', args)} did not end.");
        }
        return new MaapResult(process.ExitCode, await output, await error);
    }
}
