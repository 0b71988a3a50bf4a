using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;

namespace MultiAgent.Testing;

/// <summary>The real executable in a process of its own, to be killed, signalled and started again on the same data.</summary>
public sealed partial class PlatformProcess : IAsyncDisposable
{
    public const int SigInt = 2;
    public const int SigTerm = 15;

    /// <summary>A loaded machine compiles for long before it listens.</summary>
    public static readonly TimeSpan StartDeadline = TimeSpan.FromSeconds(90);

    private static readonly string[] OfTheMachine = ["OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "ASPNETCORE_URLS", "ASPNETCORE_HTTP_PORTS", "MAAP_DATA_DIR"];

    private readonly Process _process;
    private readonly List<string> _output = [];
    private readonly List<string> _errors = [];
    private readonly TaskCompletionSource<Uri> _listening = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly long _started = Stopwatch.GetTimestamp();

    private PlatformProcess(Process process) => _process = process;

    public static string Assembly => AssemblyOf("platform", "Platform");

    /// <summary>The assembly of an app, by its folder and the last part of its name.</summary>
    public static string AssemblyOf(string folder, string name) => Repository.At($"apps/{folder}/bin/{Repository.Configuration}/net10.0/MultiAgent.{name}.dll");

    public int Id => _process.Id;

    public Uri Url { get; private set; } = null!;

    /// <summary>From the start of the process to the line that says that it listens.</summary>
    public TimeSpan TimeToReady { get; private set; }

    public IReadOnlyList<string> Output
    {
        get { lock (_output) return [.. _output]; }
    }

    public IReadOnlyList<string> Errors
    {
        get { lock (_errors) return [.. _errors]; }
    }

    /// <summary>Starts and waits until the server listens.</summary>
    public static Task<PlatformProcess> StartAsync(string dataFolder, IReadOnlyDictionary<string, string?>? environment = null, params string[] args) =>
        StartAsync(Assembly, dataFolder, environment, args);

    /// <summary>Starts another of the platform's programs, e.g. one service, and waits until it listens.</summary>
    public static async Task<PlatformProcess> StartAsync(string assembly, string dataFolder, IReadOnlyDictionary<string, string?>? environment, IReadOnlyList<string> args)
    {
        var all = new Dictionary<string, string?>(environment ?? new Dictionary<string, string?>()) { ["MAAP_DATA_DIR"] = dataFolder };
        PlatformProcess platform = Launch(all, args.Count > 0 ? args : ["--urls", "http://127.0.0.1:0"], null, assembly);
        try
        {
            Task ended = platform._process.WaitForExitAsync();
            if (await Task.WhenAny(platform._listening.Task, ended).WaitAsync(StartDeadline) == ended) throw new InvalidOperationException($"The platform ended: {string.Join('\n', platform.Errors)}");
            platform.Url = await platform._listening.Task;
            return platform;
        }
        catch
        {
            await platform.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts without waiting, for starts that are meant to fail.</summary>
    public static PlatformProcess Launch(IReadOnlyDictionary<string, string?> environment, IReadOnlyList<string> args, string? workingDirectory = null, string? assembly = null)
    {
        var start = new ProcessStartInfo("dotnet")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            UseShellExecute = false,
            WorkingDirectory = workingDirectory ?? Path.GetTempPath(),
        };
        start.ArgumentList.Add(assembly ?? Assembly);
        foreach (string arg in args) start.ArgumentList.Add(arg);
        foreach (string name in OfTheMachine) start.Environment.Remove(name);
        foreach ((string name, string? value) in environment) start.Environment[name] = value;
        var platform = new PlatformProcess(new Process { StartInfo = start });
        platform._process.OutputDataReceived += (_, e) => platform.Read(e.Data);
        platform._process.ErrorDataReceived += (_, e) =>
        {
            if (e.Data is { Length: > 0 } line) lock (platform._errors) platform._errors.Add(line);
        };
        platform._process.Start();
        // The test's process may be ended from outside; its children must not outlive it.
        AppDomain.CurrentDomain.ProcessExit += platform.KillAtExit;
        platform._process.BeginOutputReadLine();
        platform._process.BeginErrorReadLine();
        return platform;
    }

    /// <summary>A client with this key; null sends none.</summary>
    public HttpClient ClientFor(string? key) => TestTenant.ClientFor(Url, key);

    /// <summary>kill -9.</summary>
    public async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync().WaitAsync(Eventually.Deadline);
    }

    public void Signal(int signal)
    {
        if (kill(_process.Id, signal) != 0) throw new InvalidOperationException($"Signal {signal} could not be sent to {_process.Id}.");
    }

    /// <summary>Waits for the end of the process and of its output; returns the exit code.</summary>
    public async Task<int> ExitCodeAsync()
    {
        await _process.WaitForExitAsync().WaitAsync(StartDeadline);
        return _process.ExitCode;
    }

    /// <summary>Resident memory in bytes.</summary>
    public long ResidentBytes()
    {
        string line = File.ReadLines($"/proc/{_process.Id}/status").First(l => l.StartsWith("VmRSS:", StringComparison.Ordinal));
        return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) * 1024;
    }

    public async ValueTask DisposeAsync()
    {
        AppDomain.CurrentDomain.ProcessExit -= KillAtExit;
        KillAtExit(null, EventArgs.Empty);
        await _process.WaitForExitAsync().WaitAsync(Eventually.Deadline);
        _process.Dispose();
    }

    private void Read(string? line)
    {
        if (line is null) return;
        lock (_output) _output.Add(line);
        if (RunningOn().Match(line) is not { Success: true } running) return;
        TimeToReady = Stopwatch.GetElapsedTime(_started);
        _listening.TrySetResult(new Uri(running.Groups[1].Value));
    }

    private void KillAtExit(object? sender, EventArgs e)
    {
        try
        {
            _process.Kill();
        }
        catch (InvalidOperationException)
        {
            // ended already
        }
    }

    [GeneratedRegex("is running on (http://[^ ]+)")]
    private static partial Regex RunningOn();

    [DllImport("libc", SetLastError = true)]
    private static extern int kill(int pid, int signal);
}
