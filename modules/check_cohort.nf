// Reads the whole cohort before any work, and says who trains and who tests.
process CHECK_COHORT {
    label 'light'

    input:
    // source: quoted for bash. The mounts are only declared, so that containers see the files.
    tuple val(source), val(fingerprint), path(mounts, stageAs: 'mounted?/*')
    val options
    val package_digest

    output:
    path 'checked/cases/*.json', emit: cases
    path 'checked/splits.csv', emit: splits
    tuple val(task.process), eval('wssamnet --version'), topic: versions

    script:
    """
    wssamnet --threads ${task.cpus} check ${source} --out checked ${options}
    """

    stub:
    // Every n-th case is tested, or all.
    def folds = options.contains('--folds') ? options.replaceAll(/.*--folds (\d+).*/, '$1') : '1'
    def parts = folds != '1' ? folds : options ==~ /.*--no-training(?!.*--test).*/ ? '1' : '4'
    """
    mkdir -p checked/cases
    if [ -d ${source} ]; then ls ${source}; else sed 1d ${source} | cut -d, -f1; fi > ids.txt
    # The files in each case's folder, none for a samplesheet: their names are all that the stubs need.
    shopt -s nullglob
    while read -r id; do
        images=(${source}/"\$id"/*.nii.gz)
        landmarks=(${source}/"\$id"/*landmarks.csv '' '')
        printf -v named ', "%s"' '' "\${images[@]}"
        printf '{"id": "%s", "fixed": {"landmarks": "%s"}, "moving": {"landmarks": "%s"}, "images": [%s]}\\n' \\
            "\$id" "\${landmarks[@]:0:2}" "\${named:2}" > "checked/cases/\$id.json"
    done < ids.txt
    awk -v folds=${folds} -v parts=${parts} 'BEGIN {print "fold,case,role"} {
        for (fold = 1; fold <= folds; fold++)
            print fold "," \$0 "," (NR % parts == fold % parts ? "test" : "train")
    }' ids.txt > checked/splits.csv
    """
}
