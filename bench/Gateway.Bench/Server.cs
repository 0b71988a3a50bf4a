using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace MultiAgent.Bench.Gateway;

/// <summary>A candidate's running process, and what can be read from outside it.</summary>
internal sealed class Server : IDisposable
{
    private static readonly TimeSpan ReadyWithin = TimeSpan.FromSeconds(60);

    private readonly Process _process;
    private readonly int? _probePort;

    private Server(Candidate candidate, Process process, int? probePort)
    {
        Candidate = candidate;
        _process = process;
        _probePort = probePort;
    }

    public Candidate Candidate { get; }

    public string Name => Candidate.Name;

    public static async Task<Server> StartAsync(Candidate candidate, BenchOptions options, CancellationToken cancellationToken)
    {
        var logs = Path.Combine(options.Artifacts, "logs");
        Directory.CreateDirectory(logs);
        var log = Path.Combine(logs, $"{candidate.Name}.log");

        // The shell only redirects the output and becomes the server (exec), so that the id is the server's own.
        var start = new ProcessStartInfo("/bin/sh") { UseShellExecute = false, RedirectStandardInput = true };
        string[] arguments = ["-c", "log=$1; shift; exec \"$@\" >\"$log\" 2>&1", "sh", log, candidate.Command, .. candidate.Arguments];
        foreach (var argument in arguments)
            start.ArgumentList.Add(argument);
        foreach (var (name, value) in candidate.Environment)
            start.Environment[name] = value;
        int? probePort = null;
        if (candidate.IsDotNet)
        {
            probePort = CandidateList.FreePort();
            start.Environment["DOTNET_STARTUP_HOOKS"] = Path.Combine(options.Artifacts, "bin", "probe", "MultiAgent.Bench.AllocationProbe.dll");
            start.Environment["BENCH_PROBE_PORT"] = probePort.Value.ToString(CultureInfo.InvariantCulture);
        }

        var server = new Server(candidate, Process.Start(start)!, probePort);
        try
        {
            await server.WaitUntilReadyAsync(log, cancellationToken);
            return server;
        }
        catch
        {
            server.Dispose();
            throw;
        }
    }

    public Reading Read()
    {
        var (allocated, heap) = ReadProbe();
        return new Reading(ProcessTree.CpuSeconds(_process.Id), ProcessTree.ResidentBytes(_process.Id), allocated, heap);
    }

    /// <summary>Ends the process that was started here, and what it started itself.</summary>
    public void Dispose()
    {
        if (!_process.HasExited)
            _process.Kill(entireProcessTree: true);
        _process.WaitForExit(TimeSpan.FromSeconds(5));
        _process.Dispose();
    }

    private async Task WaitUntilReadyAsync(string log, CancellationToken cancellationToken)
    {
        using var client = new HttpClient { Timeout = TimeSpan.FromSeconds(2) };
        var started = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(started) < ReadyWithin)
        {
            if (_process.HasExited)
                throw new BenchException($"{Name} ended with code {_process.ExitCode} before it was ready; see {log}.");
            try
            {
                using var response = await client.GetAsync(new Uri(Candidate.Address, Candidate.ReadyPath), cancellationToken);
                if (response.IsSuccessStatusCode)
                    return;
            }
            catch (Exception exception) when (exception is HttpRequestException or TaskCanceledException && !cancellationToken.IsCancellationRequested)
            {
                // Not listening yet.
            }
            await Task.Delay(50, cancellationToken);
        }
        throw new BenchException($"{Name} was not ready within {ReadyWithin.TotalSeconds} s; see {log}.");
    }

    private (long? Allocated, long? Heap) ReadProbe()
    {
        if (_probePort is not { } port)
            return (null, null);
        using var connection = new TcpClient("127.0.0.1", port);
        using var reader = new StreamReader(connection.GetStream(), Encoding.ASCII);
        var fields = (reader.ReadLine() ?? "").Split(' ');
        return (long.Parse(fields[0], CultureInfo.InvariantCulture), long.Parse(fields[1], CultureInfo.InvariantCulture));
    }
}

/// <summary>Counters of a server at one moment.</summary>
internal sealed record Reading(double CpuSeconds, long ResidentBytes, long? AllocatedBytes, long? HeapBytes);

/// <summary>Something that the person who runs the benchmark can act on; shown without a stack trace.</summary>
internal sealed class BenchException(string message) : Exception(message);
