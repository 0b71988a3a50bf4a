using System.Diagnostics;

namespace MultiAgent.Faults.Tests;

/// <summary>Faults of the machine under the platform in one process, which has nothing but its disk and its clock.</summary>
public sealed class EmbeddedFaultTests : IDisposable
{
    private const string FakeTime = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

    private static readonly Dictionary<string, string?> Settings = new()
    {
        ["MAAP_BOOTSTRAP_API_KEY"] = Stack.Key,
        ["MAAP_BOOTSTRAP_ADMIN_PASSWORD"] = TestPlatform.DemoPassword,
        ["Limits__RequestsPerMinute"] = "1000000",
        ["Limits__Burst"] = "100000",
        ["DATABASE_URL"] = "",
        ["REDIS_URL"] = "",
        ["NATS_URL"] = "",
    };

    private readonly TempFolder _folder = new();

    [Fact]
    public Task Sqlite_DiskFull() => OnASmallDiskAsync(async disk =>
    {
        await using PlatformProcess platform = await PlatformProcess.StartAsync(Path.Combine(disk, "data"), Settings);
        string filler = Path.Combine(disk, "filler");
        await FaultRun.UnderLoadAsync(platform.Url, "embedded: the disk of SQLite is full for 3 s", () => Set(() => Fill(filler)), () => Set(() => File.Delete(filler)));
    });

    [Fact]
    public Task JetStream_DiskFull() => OnASmallDiskAsync(async disk =>
    {
        Assert.SkipWhen(NatsServer.Missing is not null, NatsServer.Missing ?? "");
        await using NatsServer nats = await NatsServer.StartAsync(Path.Combine(disk, "jetstream"));
        await using PlatformProcess platform = await PlatformProcess.StartAsync(Path.Combine(_folder.Path, "data"), new Dictionary<string, string?>(Settings) { ["NATS_URL"] = nats.Url });
        string filler = Path.Combine(disk, "filler");
        await FaultRun.UnderLoadAsync(platform.Url, "one process with NATS: the disk of JetStream is full for 3 s, then NATS is restarted", () => Set(() => Fill(filler)), async () =>
        {
            File.Delete(filler);
            // A server that could not write stays without JetStream until it is started again.
            await nats.KillAsync();
            await nats.RunAsync();
        });
    });

    [Theory]
    [InlineData(1, "an hour forth")]
    [InlineData(-1, "an hour back")]
    public async Task Clock_Steps(int hours, string words)
    {
        Assert.SkipUnless(File.Exists(FakeTime) || (Environment.GetEnvironmentVariable("CI") == "true" && System.Runtime.InteropServices.RuntimeInformation.ProcessArchitecture == System.Runtime.InteropServices.Architecture.X64), "libfaketime is not installed (apt-get install faketime).");
        string clock = Path.Combine(_folder.Path, "clock");
        await File.WriteAllTextAsync(clock, "+0");
        var settings = new Dictionary<string, string?>(Settings)
        {
            ["LD_PRELOAD"] = FakeTime,
            ["FAKETIME_TIMESTAMP_FILE"] = clock,
            ["FAKETIME_CACHE_DURATION"] = "1",
            // A step of the wall clock leaves the monotonic one as it is.
            ["FAKETIME_DONT_FAKE_MONOTONIC"] = "1",
            ["DONT_FAKE_MONOTONIC"] = "1",
        };
        await using PlatformProcess platform = await PlatformProcess.StartAsync(Path.Combine(_folder.Path, "data"), settings);
        await FaultRun.UnderLoadAsync(platform.Url, $"embedded: the clock steps {words}, and 3 s later to where it was", async () =>
        {
            await File.WriteAllTextAsync(clock, hours > 0 ? "+3600" : "-3600");
            await TellsAsync(platform, TimeSpan.FromHours(hours));
        }, async () =>
        {
            await File.WriteAllTextAsync(clock, "+0");
            await TellsAsync(platform, TimeSpan.Zero);
        }, lookBack: TimeSpan.FromHours(2));
    }

    public void Dispose() => _folder.Dispose();

    private async Task OnASmallDiskAsync(Func<string, Task> test)
    {
        Assert.SkipUnless(Environment.UserName == "root", "A file system of a test's own can only be mounted by root.");
        string disk = Path.Combine(_folder.Path, "disk");
        Directory.CreateDirectory(disk);
        Run("mount", "-t", "tmpfs", "-o", "size=160m", "none", disk);
        try
        {
            await test(disk);
        }
        finally
        {
            Run("umount", "-l", disk);
        }
    }

    // The time that the platform tells with each answer.
    private static Task TellsAsync(PlatformProcess platform, TimeSpan step) => Eventually.TrueAsync(async () =>
    {
        using HttpClient client = platform.ClientFor(null);
        using HttpResponseMessage response = await client.GetAsync("/health/live");
        return (response.Headers.Date - TimeProvider.System.GetUtcNow() - step)?.Duration() < TimeSpan.FromMinutes(1);
    }, $"the platform's clock is {step} off");

    private static void Fill(string path)
    {
        using FileStream file = File.Create(path);
        var block = new byte[1 << 20];
        try
        {
            while (true)
            {
                file.Write(block);
                file.Flush();
            }
        }
        catch (IOException)
        {
            // full
        }
    }

    private static Task Set(Action change)
    {
        change();
        return Task.CompletedTask;
    }

    private static void Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { UseShellExecute = false })!;
        process.WaitForExit();
        if (process.ExitCode != 0) throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} ended with {process.ExitCode}.");
    }
}
